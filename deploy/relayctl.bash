# relayctl.bash - completion for bash: `relayctl --complete` knows the verbs and asks the daemon for names, for a second at most.

# A word as the shell would read it, as far as tilde and backslashes go.
_relayctl_word() {
	local word=${1//\\/}

	case $word in
	'~/'*) printf '%s' "$HOME/${word#'~/'}" ;;
	*) printf '%s' "$word" ;;
	esac
}

# _relayctl COMMAND: candidates for the word at the cursor into COMPREPLY.
_relayctl() {
	local words=() word last i candidate

	# bash takes `--output=json` for three words.
	for ((i = 1; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		last=$((${#words[@]} - 1))
		if ((last >= 0)) && [[ $word == = && ${words[last]} == --* || ${words[last]} == --*= ]]; then
			words[last]+=$word
		else
			words+=("$word")
		fi
	done
	for i in "${!words[@]}"; do
		words[i]=$(_relayctl_word "${words[i]}")
	done

	COMPREPLY=()
	while IFS= read -r candidate; do
		if [[ $candidate == :file ]]; then
			compopt -o default 2>/dev/null
			return
		fi
		printf -v candidate '%q' "$candidate"
		COMPREPLY+=("$candidate")
	done < <("$(_relayctl_word "$1")" --complete "${words[@]}" 2>/dev/null)
}

complete -F _relayctl relayctl
