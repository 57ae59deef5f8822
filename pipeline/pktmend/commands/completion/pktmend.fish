# fish completion for pktmend.  `pktmend completion fish` prints this file.

function __pktmend_complete
    set -l answer (env _PKTMEND_COMPLETE=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) pktmend 2>/dev/null)
    for line in $answer
        set -l part (string split -m 1 , -- $line)
        switch $part[1]
            case plain
                echo $part[2]
            case file
                __fish_complete_path (commandline -t)
            case dir
                __fish_complete_directories (commandline -t)
        end
    end
end

complete --no-files --command pktmend --arguments "(__pktmend_complete)"
