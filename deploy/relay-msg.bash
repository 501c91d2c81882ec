# relay-msg.bash - completion for bash: options, what is to be done, files where an option takes one.

_relay_msg() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i verb=

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--at | --key | --id | --count | --timeout | --resend | --tries | --socket | --from) ((++i)) ;;
		-*) ;;
		*)
			verb=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	COMPREPLY=()
	case $before in
	--key | --socket) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--at | --id | --count | --timeout | --resend | --tries | --from) ;;
	*)
		if [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W '--at --key --id --durable --count --timeout --resend --tries --socket
				--from --original --help --version' -- "$word")
		elif [[ -z $verb ]]; then
			mapfile -t COMPREPLY < <(compgen -W 'request listen send page' -- "$word")
		fi
		;;
	esac
}

complete -F _relay_msg relay-msg
