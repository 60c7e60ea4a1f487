#!/bin/sh
# Counts the words of a file that occur at least so many times.
set -eu
inputs=${VOLERY_INPUT_DIR:-/var/volery/inputs}
outputs=${VOLERY_OUTPUT_DIR:-/var/volery/outputs}

least=$(cat "$inputs/least")
if [ "$least" -lt 1 ]; then
    printf '{"code": "BadLeast", "message": "least is %s; it must be 1 or more", "recoverable": false}' "$least" \
        > "$outputs/_ERROR"
    exit 1
fi

tr -cs '[:alpha:]' '\n' < "$inputs/text" | tr '[:upper:]' '[:lower:]' | sed '/^$/d' | sort | uniq -c \
    | awk -v least="$least" '
        $1 >= least { printf "%s\"%s\": %d", (n++ ? ", " : "{"), $2, $1 }
        END { print n ? "}" : "{}" }' > "$outputs/counts.json"
tr -cs '[:alpha:]' '\n' < "$inputs/text" | sed '/^$/d' | wc -l > "$outputs/words"
