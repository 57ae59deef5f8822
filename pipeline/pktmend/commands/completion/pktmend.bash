# bash completion for pktmend.  `pktmend completion bash` prints this file.

_pktmend() {
    local IFS=$'\n' line word words=()
    for word in "${COMP_WORDS[@]:0:COMP_CWORD}"; do
        [[ $word == = && ${words[-1]} == --* ]] || words+=("$word") # bash makes three words of --option=value
    done
    words+=("${COMP_WORDS[COMP_CWORD]}")
    COMPREPLY=()
    for line in $(COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) _PKTMEND_COMPLETE=bash_complete "$1" 2>/dev/null); do
        case $line in
        plain,*=) compopt -o nospace && COMPREPLY+=("${line#plain,}") ;;
        plain,*) COMPREPLY+=("${line#plain,}") ;;
        file,*) compopt -o default ;; # readline's own completion of files
        dir,*) compopt -o dirnames ;;
        esac
    done
}

complete -F _pktmend pktmend
