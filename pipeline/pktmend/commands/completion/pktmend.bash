# bash completion for pktmend.  `pktmend completion bash` prints this file.

_pktmend() {
    local IFS=$'\n' line
    COMPREPLY=()
    for line in $(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _PKTMEND_COMPLETE=bash_complete "$1" 2>/dev/null); do
        case $line in
        plain,*=) compopt -o nospace && COMPREPLY+=("${line#plain,}") ;;
        plain,*) COMPREPLY+=("${line#plain,}") ;;
        file,*) compopt -o default ;; # readline's own completion of files
        dir,*) compopt -o dirnames ;;
        esac
    done
}

complete -F _pktmend pktmend
