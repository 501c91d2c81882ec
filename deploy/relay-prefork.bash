# relay-prefork.bash - completion for bash: options and variables, then the interpreter, then files.

_relay_prefork() {
	local word=${COMP_WORDS[COMP_CWORD]} i

	# Where the interpreter stands; behind the cursor if that is at an option's value.
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--)
			((++i))
			break
			;;
		-g | -E | -G | --socket) ((++i)) ;;
		-*) ;;
		*) break ;;
		esac
	done
	COMPREPLY=()
	if ((i > COMP_CWORD)); then
		if [[ ${COMP_WORDS[COMP_CWORD - 1]} == -E ]]; then
			mapfile -t COMPREPLY < <(compgen -e -- "$word")
		fi
	elif ((i == COMP_CWORD)) && [[ $word == -* && ${COMP_WORDS[i - 1]} != -- ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-U -g -E -G -f --kill --socket --help --version' -- "$word")
	elif ((i == COMP_CWORD)); then
		mapfile -t COMPREPLY < <(compgen -c -- "$word" | sort -u)
	fi
}

complete -o bashdefault -o default -F _relay_prefork relay-prefork
