# fish completion for pktmend.  `pktmend completion fish` prints this file.

# Ask pktmend what may stand at the cursor.  Both lines at the end ask at one TAB; the second takes what the first was told.
function __pktmend_ask
    set -l line (commandline -cp)
    if test "$line" = "$__pktmend_line"
        set -e __pktmend_line
        return
    end
    set -g __pktmend_line $line
    set -l word (commandline -ct)
    set -g __pktmend_answer (env _PKTMEND_COMPLETE=fish_complete COMP_WORDS=$line COMP_CWORD=$word pktmend 2>/dev/null)
end

function __pktmend_words
    __pktmend_ask
    set -l option (string match -r -- '^--[^=]+=' (commandline -ct); or echo) # fish takes whole words only, the option too
    for line in $__pktmend_answer
        string match -q 'plain,*' -- $line; and echo $option(string sub -s 7 -- $line)
    end
end

function __pktmend_wants_file
    __pktmend_ask
    string match -q -r '^(file|dir),' -- $__pktmend_answer
end

complete --command pktmend --no-files --arguments "(__pktmend_words)"
complete --command pktmend --condition __pktmend_wants_file --force-files
