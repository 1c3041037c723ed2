# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Completion of atomic(1) for bash. It is static, since asking the program for its options would
# take longer than typing them; tests/test_completion.py compares it with the command line.

# The options of a verb; those before the verb when there is none.
_atomic_options() {
    case $1 in
    '') echo '-h --help -v --version --debug -y --assumeyes --root --policy --require-signed --registries-conf --registries.d --authfile --lock-timeout --override-arch --override-os --override-variant' ;;
    install)
        echo '-h --help --system --storage --src-creds -n --name --set --values --runtime --rootfs --now --no-enable'
        echo '--after --before --requires --wants --dry-run --display --json --lock-timeout'
        ;;
    uninstall) echo '-h --help --purge -f --force --dry-run --display --storage --lock-timeout' ;;
    update)
        echo '-h --help -a --all --rebase --set --unset --rootfs --no-pull --no-rollback --settle --dry-run --json'
        echo '--storage --src-creds --lock-timeout'
        ;;
    pull) echo '-h --help --storage --src-creds --json --lock-timeout' ;;
    push)
        echo '-h --help -a --all -u --username -p --password --anonymous --insecure --storage --src-creds --dest-creds'
        echo '--dest-tls-verify --remove-signatures --digestfile -q --quiet --json --authfile --lock-timeout'
        ;;
    copy)
        echo '-h --help -a --all --multi-arch --preserve-digests --src-creds --src-tls-verify --dest-creds'
        echo '--dest-tls-verify --remove-signatures --digestfile -q --quiet --json --authfile --lock-timeout'
        ;;
    sign)
        echo '-h --help --sign-by --sign-by-sigstore-private-key --sign-passphrase-file --sign-identity'
        echo '-d --directory -g --gnupghome -a --all --json'
        ;;
    'trust show') echo '-h --help --raw -j --json --effective' ;;
    'trust add')
        echo '-h --help -k --pubkeys -f --pubkeysfile -t --type --keytype --require --identity -s --sigstore'
        echo '-g --gnupghome --sigstoretype --transport -y --assumeyes --lock-timeout'
        ;;
    'trust delete') echo '-h --help --save-sigstore --sigstoretype --transport --lock-timeout' ;;
    'trust default') echo '-h --help --lock-timeout' ;;
    'trust reset') echo '-h --help -y --assumeyes --lock-timeout' ;;
    'trust check') echo '-h --help --as --src-creds --json' ;;
    'trust audit') echo '-h --help -n --noheading --json' ;;
    'trust lint') echo '-h --help --json' ;;
    'trust generate-key') echo '-h --help --output-prefix --sign-passphrase-file' ;;
    login) echo '-h --help -u --username -p --password --password-stdin --get-login --tls-verify --authfile --lock-timeout' ;;
    logout) echo '-h --help -a --all --authfile --lock-timeout' ;;
    inspect) echo '-h --help --raw --config -n --no-tags' ;;
    list-tags) echo '-h --help' ;;
    mount) echo '-h --help -o --options --storage --lock-timeout' ;;
    unmount) echo '-h --help --lock-timeout' ;;
    'containers list' | 'images list')
        echo '-h --help -a --all -f --filter -n --noheading --no-trunc -q --quiet --json'
        ;;
    'containers status') echo '-h --help --json' ;;
    'containers update')
        echo '-h --help -a --all --rebase --set --unset --rootfs --no-pull --no-rollback --settle --dry-run'
        echo '--json --storage --src-creds --lock-timeout'
        ;;
    'containers rollback') echo '-h --help --to --settle --dry-run --storage --lock-timeout' ;;
    'containers deployments') echo '-h --help --json' ;;
    'containers hold' | 'containers unhold') echo '-h --help --lock-timeout' ;;
    'containers recover') echo '-h --help --lock-timeout' ;;
    'containers protect') echo '-h --help --json --lock-timeout' ;;
    'containers delete') echo '-h --help -a --all --purge -f --force --storage --lock-timeout' ;;
    'images info' | 'images version') echo '-h --help --storage --json' ;;
    'images inspect' | 'images help') echo '-h --help --storage' ;;
    'images history') echo '-h --help --no-trunc -q --quiet --storage --json' ;;
    'images diff') echo '-h --help --storage --json --format' ;;
    'images checkout') echo '-h --help --copy --storage --json --lock-timeout' ;;
    'images tag') echo '-h --help --storage --lock-timeout' ;;
    'images save') echo '-h --help -o --output --format --storage --lock-timeout' ;;
    'images load') echo '-h --help -i --input --json --storage --lock-timeout' ;;
    'images update') echo '-h --help -a --all --storage --src-creds --json --lock-timeout' ;;
    'images delete') echo '-h --help -a --all -f --force --storage --lock-timeout' ;;
    'run') echo '-h --help -d --detach --set --runtime --display --storage --src-creds' ;;
    'stop') echo '-h --help --display' ;;
    'containers exec') echo '-h --help -t --tty -T --no-tty -d --detach -u --user -w --workdir -e --env' ;;
    'containers logs') echo '-h --help -f --follow -n --lines --tail -b --boot -r --reverse --since --until -o --output' ;;
    'containers ps') echo '-h --help -n --noheading --no-trunc --json' ;;
    'containers stats') echo '-h --help -i --interval -n --noheading --json' ;;
    'containers verify') echo '-h --help -a --all --repair --json --src-creds --lock-timeout' ;;
    'images verify') echo '-h --help --repair --json --storage --src-creds --lock-timeout' ;;
    'fsck') echo '-h --help --repair --json --src-creds --lock-timeout' ;;
    'images prune') echo '-h --help --json --lock-timeout' ;;
    esac
}

# What can stand where no option does.
_atomic_words() {
    case $1 in
    '')
        echo 'install uninstall update run stop pull push copy sign login logout inspect list-tags mount unmount fsck'
        echo 'containers images trust'
        ;;
    run | update)
        atomic containers list --all -q 2>/dev/null
        atomic images list -q 2>/dev/null
        ;;
    mount)
        atomic containers list --all -q 2>/dev/null
        atomic images list -q 2>/dev/null
        compgen -d -- "$2"
        ;;
    containers) echo 'list status exec logs ps stats verify delete update rollback deployments hold unhold recover protect' ;;
    trust) echo 'show add delete default reset check audit lint generate-key' ;;
    'trust default') echo 'accept reject' ;;
    'trust delete') atomic trust show 2>/dev/null | cut -d ' ' -f 1 | grep -v '^\*$' ;;
    images) echo 'list info version inspect history diff checkout tag help save load update delete verify prune' ;;
    uninstall | stop | 'containers exec' | 'containers logs' | 'containers ps' | \
        'containers stats' | 'containers status' | 'containers delete' | 'containers verify' | \
        'containers update' | 'containers rollback' | 'containers deployments' | 'containers hold' | \
        'containers unhold') atomic containers list --all -q 2>/dev/null ;;
    push | 'images delete' | 'images update' | 'images info' | 'images version' | 'images inspect' | 'images history' | \
        'images diff' | 'images checkout' | 'images tag' | 'images help' | 'images save' | 'images verify') atomic images list -q 2>/dev/null ;;
    esac
}

# The value of an option; fails for an option that has none.
_atomic_value() {
    case $1 in
    --root | --registries.d | --directory | --gnupghome | --rootfs) mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
    --policy | --registries-conf | --authfile | --values | --runtime | --sign-by-sigstore-private-key | \
        --sign-passphrase-file | --output-prefix | --digestfile | -k | --pubkeys | --pubkeysfile) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
    --storage) mapfile -t COMPREPLY < <(compgen -W ostree -- "$2") ;;
    --format) mapfile -t COMPREPLY < <(compgen -W 'json docker-archive oci-archive' -- "$2") ;;
    -i | --input) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
    --type) mapfile -t COMPREPLY < <(compgen -W 'signedBy sigstoreSigned insecureAcceptAnything reject' -- "$2") ;;
    --keytype) mapfile -t COMPREPLY < <(compgen -W GPGKeys -- "$2") ;;
    --require) mapfile -t COMPREPLY < <(compgen -W 'any all' -- "$2") ;;
    --identity)
        mapfile -t COMPREPLY < <(compgen -W 'matchExact matchRepoDigestOrExact matchRepository
            exactReference= exactRepository= remapIdentity=' -- "$2")
        ;;
    --sigstoretype | --transport)
        mapfile -t COMPREPLY < <(compgen -W 'web local atomic docker dir oci oci-archive docker-archive' -- "$2")
        ;;
    --after | --before | --requires | --wants)
        mapfile -t COMPREPLY < <(compgen -W "$(
            systemctl list-unit-files --plain --no-legend 2>/dev/null | cut -d ' ' -f 1
        )" -- "$2")
        ;;
    --multi-arch) mapfile -t COMPREPLY < <(compgen -W 'system all index-only' -- "$2") ;;
    --src-tls-verify | --dest-tls-verify) mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$2") ;;
    --set | --unset | --rebase | --settle | --to | --filter | --name | --src-creds | --dest-creds | --username | --password | --sign-by | --sign-identity | --sigstore | --effective | --as | --lock-timeout | --override-* | -o | --options) COMPREPLY=() ;;
    *) return 1 ;;
    esac
}

_atomic() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb='' index
    COMPREPLY=()
    # readline takes --option=value for three words
    [[ $current == = ]] && current=''
    [[ $previous == = && COMP_CWORD -gt 1 ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}
    for ((index = 1; index < COMP_CWORD; index++)); do
        case $verb:${COMP_WORDS[index]} in
        :--root | :--policy | :--registries-conf | :--registries.d | :--authfile | :--override-arch | \
            :--override-os | :--lock-timeout | :--override-variant)
            [[ ${COMP_WORDS[index + 1]} == = ]] && ((index++))
            ((index++))
            ;;
        *:-*) ;;
        :*) verb=${COMP_WORDS[index]} ;;
        containers:* | images:* | trust:*)
            verb+=" ${COMP_WORDS[index]}"
            break
            ;;
        esac
    done
    case $verb in
    diff | help | info | verify | version) verb="images $verb" ;;
    umount) verb=unmount ;;
    upload) verb=push ;;
    esac
    if _atomic_value "$previous" "$current"; then
        return
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_atomic_options "$verb")" -- "$current")
    elif [[ $verb == unmount ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
    elif [[ $verb == install || $verb == pull || $verb == sign || $verb == inspect || \
        $verb == 'trust check' || $verb == 'trust lint' ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current") # the directory of oci:DIR
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_atomic_words "$verb" "$current")" -- "$current")
    fi
}

complete -o filenames -F _atomic atomic atomic-sys
