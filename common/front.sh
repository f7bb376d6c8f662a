#!/bin/sh
# front.sh first           prints what a reader needs first
# front.sh all             prints everything that make can do, in groups
# front.sh asked GOAL ...  is asked by make, before it makes these: prints "no", and on stderr why not, or
#                          for each goal that has another name here both, as chapter-4=chapter-04
#
# What there is stands in the Makefile: targets, with a text behind `##`, under `# ---- GROUP`. In a name, %
# is a chapter (NN), one that has a server where the text speaks of server NN, or an exercise where it speaks of NN-K.
set -u
LC_ALL=C
export LC_ALL

chapters='' serving=''
for room in chapters/[0-9]*/; do
    number=${room#chapters/}
    number=${number%%-*}
    chapters="$chapters $number"
    ! grep -qs '^servers *+=' "$room/programs.mk" || serving="$serving $number"
done

# The targets that have a text, a line each: group, name and text, with tabs between.
targets() {
    awk '
        /^# ---- [a-z]+/ { group = $3; sub(/:.*/, "", group) }
        /^[a-zA-Z][a-zA-Z0-9_.%-]*:.* ## / {
            name = text = $0
            sub(/:.*/, "", name)
            sub(/.* ## /, "", text)
            sub(/%/, text ~ /NN-K/ ? "NN-K" : text ~ /NN/ ? "NN" : "NAME", name)
            print group "\t" name "\t" text
        }' Makefile
}

# Lines of at most 80 columns, from lines of two parts with a tab between: the first, and beside it the second.
beside() { # FORMAT of the first
    awk -F '\t' -v form="$1" '{
        line = sprintf(form, $1)
        count = split($2, words, " ")
        for (i = 1; i <= count; i++) {
            if (length(line) + 1 + length(words[i]) > 80) {
                print line
                line = sprintf(form, "")
            }
            line = line " " words[i]
        }
        print line
    }'
}

legend() {
    echo
    echo "NN is a chapter:$chapters. NN-K is an exercise, such as 01-1."
}

first() {
    echo "Begin with make chapter-01, and chapters/01-*/README.md. Then there are:"
    echo
    for name in setup chapter-NN trace-NN fds-NN break-NN exercises exercise-NN-K hint-NN-K compare test help; do
        targets | awk -F '\t' -v name=$name '$2 == name { print "make " name "\t" $3 }'
    done | beside '  %-18s'
    legend
}

all() {
    for group in learn measure exercises teach maintain; do
        echo "$group"
        targets | awk -F '\t' -v group=$group '$1 == group { print $2 "\t" $3 }' | beside '  %-15s'
        echo
    done | sed '$d'
    legend
}

# ---- what make is asked for -----------------------------------------------------------------------

# Whether what is built may lie in BUILD, which `make clean` removes: below build/, or where nothing else is.
is_ours() {
    there=$(cd "$BUILD" 2>/dev/null && pwd -P) || return 0 # it is not there yet
    here=$(pwd -P)
    case $here/ in "${there%/}"/*) return 1 ;; esac # all of the course
    case $there/ in "$here/build/"*) return 0 ;; esac
    [ -f "$there/flags" ] || [ -z "$(ls -A "$there" 2>/dev/null)" ]
}

# Whether we may write to where all is built. A first make as root, or behind sudo, leaves what only root may change.
may_write() {
    case $BUILD in
    '') problem="BUILD is empty; say a folder, such as BUILD=build" && return 1 ;;
    *[[:space:]]*) problem="BUILD='$BUILD' has a blank in it, and make can build in no such folder" && return 1 ;;
    esac
    if ! is_ours; then
        problem="BUILD=$BUILD is no folder that make has made: say one of its own, such as BUILD=build/other" && return 1
    fi
    me=$(id -u)
    [ "$me" -ne 0 ] || return 0
    foreign='' mend=$BUILD
    if [ -d "$BUILD" ]; then
        [ -w "$BUILD" ] && foreign=$(find "$BUILD" -name node_modules -prune -o ! -user "$me" ! -type l -print 2>/dev/null |
            while IFS= read -r path; do
                [ -w "$path" ] || { echo "$path" && break; }
            done) || foreign=$BUILD
    elif [ "${BUILD#/}" = "$BUILD" ] && [ ! -w . ]; then
        foreign=. mend=.
    fi
    [ -n "$foreign" ] || return 0
    owner=$(stat -c %U "$foreign")
    mend=$(cd "$mend" && pwd)
    [ "$foreign" != . ] || foreign='this folder'
    if [ "$owner" = "$(id -un 2>/dev/null)" ]; then
        problem="nothing can be written to $foreign; build elsewhere: BUILD=/tmp/build"
    else
        command -v sudo >/dev/null && as_root='' sudo='sudo ' || as_root=', as root' sudo=''
        cure="${sudo}chown -R $(id -un 2>/dev/null || id -u)" there="'$mend'"
        [ $((4 + ${#cure} + 1 + ${#there})) -le 80 ] || there="\\
        $there"
        problem="$foreign belongs to $owner: make was run by that user before. Mend it once$as_root:
    $cure $there"
    fi
    return 1
}

# Targets, typing errors, and numbers. Prints lines "say WORDS" and "GOAL=TARGET".
understood() { # GOAL ...
    printf '%s\n' "$@" | awk -v chapters="$chapters" -v serving="$serving" '
        function smaller(a, b) { return a < b ? a : b }

        # How many letters one has to add, leave out, change or exchange.
        function distance(a, b,    i, j, d, cost) {
            for (i = 0; i <= length(a); i++) d[i, 0] = i
            for (j = 0; j <= length(b); j++) d[0, j] = j
            for (i = 1; i <= length(a); i++)
                for (j = 1; j <= length(b); j++) {
                    cost = substr(a, i, 1) != substr(b, j, 1)
                    d[i, j] = smaller(smaller(d[i - 1, j], d[i, j - 1]) + 1, d[i - 1, j - 1] + cost)
                    if (i > 1 && j > 1 && substr(a, i, 1) == substr(b, j - 1, 1) && substr(a, i - 1, 1) == substr(b, j, 1))
                        d[i, j] = smaller(d[i, j], d[i - 2, j - 2] + 1)
                }
            return d[length(a), length(b)]
        }

        function nearest(word,    name, found, least, far) {
            least = smaller(2, int((length(word) + 1) / 3)) + 1
            for (i = 1; i <= count; i++) {
                name = order[i]
                far = distance(word, name)
                if (far < least) { least = far; found = name }
            }
            return found
        }

        # Those that the target is for.
        function chapters_of(word) { return word in of_servers ? serving : chapters }

        # The number of a chapter or exercise, as it is written here; "" if there is none.
        function proper(word, number,    rest) {
            if (number ~ /^[1-9](-|$)/) number = "0" number
            if (kind[word] == "exercise") {
                rest = number
                if (match(number, /^[0-9]+-[0-9]+/)) rest = substr(number, 1, RLENGTH)
                return (number in exercises || rest in exercises && exercises[rest] == number) ? number : ""
            }
            if (kind[word] == "name") return number
            rest = number
            if (word in server) sub(/-.*/, "", rest)
            return index(chapters_of(word) " ", " " rest " ") ? number : ""
        }

        function example(word) {
            return word "-" (kind[word] == "exercise" ? first_exercise : kind[word] == "name" ? "NAME" : first_chapter)
        }

        function which(word) {
            if (kind[word] == "exercise") return "make " word "-NN-K; make exercises lists them all"
            if (kind[word] == "name") return "make " word "-NAME; make help says more"
            return "make " word "-NN; NN is one of:" chapters_of(word)
        }

        function others(word) { return kind[word] == "exercise" ? "make exercises lists them all" : "say one of:" chapters_of(word) }

        function absent(word, number,    rest) {
            rest = (number ~ /^[1-9](-|$)/ ? "0" : "") number
            sub(/-.*/, "", rest)
            if (word in of_servers && index(chapters " ", " " rest " ")) return "chapter " rest " has no server"
            return "there is no " kind[word] " \"" number "\""
        }

        function named(word) { return word in kind && kind[word] == "name" }

        function say(words) { print "say " words }

        function read_exercises(list) {
            while ((getline line < list) > 0)
                if (line ~ /^[0-9]/) {
                    split(line, part, "-")
                    exercises[part[1] "-" part[2]] = line
                    if (first_exercise == "") first_exercise = part[1] "-" part[2]
                }
        }

        BEGIN {
            split(chapters, chapter)
            first_chapter = chapter[1]
            read_exercises("exercises/list")
            if (ENVIRON["OVERLAY"] != "") read_exercises(ENVIRON["OVERLAY"] "/exercises/list")
            while ((getline line < "Makefile") > 0) {
                if (line !~ /^[a-zA-Z][a-zA-Z0-9_.% -]*:([^=]|$)/) continue
                about = line
                sub(/:.*/, "", line)
                some = split(line, names, " ")
                for (i = 1; i <= some; i++) {
                    name = names[i]
                    takes_number = sub(/-%$/, "", name)
                    if (!(name in known)) order[++count] = name
                    known[name] = known[name] (takes_number ? "" : "plain")
                    if (!takes_number) continue
                    if (!(name in kind)) kind[name] = "chapter"
                    if (about ~ /## /) kind[name] = about ~ /NN-K/ ? "exercise" : about ~ /NN/ ? "chapter" : "name"
                    if (about ~ /## .*server:? NN/) of_servers[name]
                    if (about ~ /## .*[0-9]-[a-z]/) server[name] # such as 05-python, too
                }
            }
        }

        $0 ~ /[\/.]/ || ($0 in known && known[$0] != "") { next }
        match($0, /^[a-z]+-./) && named(substr($0, 1, RLENGTH - 2)) { next }
        $0 in known && $0 in kind { say("which " kind[$0] "? " which($0)); next }
        {
            word = $0
            number = ""
            if (match(word, /-?[0-9]/)) {
                number = substr(word, RSTART)
                word = substr(word, 1, RSTART - 1)
            }
            sub(/^-/, "", number)
            if (word in kind && $0 == word "-" number) {
                target = proper(word, number)
                if (target == "") say(absent(word, number) "; " others(word))
                else if (target != number) print $0 "=" word "-" target
                next
            }
            near = word in known ? word : nearest(tolower(word))
            if (near in kind && number != "" && proper(near, number) != "") near = near "-" proper(near, number)
            else if (near in kind && known[near] == "") near = example(near)
            if (near != "") say("there is no \"" $0 "\"; did you mean: make " near)
            else say("there is no \"" $0 "\"; make help says all that there is")
        }'
}

asked() { # GOAL ...
    answer=
    for goal; do
        case $goal in
        first | help | setup) ;;
        *) may_write || answer="say $problem" ;;
        esac
        [ -z "$answer" ] || break
    done
    [ -n "$answer" ] || [ $# -eq 0 ] || answer=$(understood "$@")
    case $answer in
    'say '* | *'
say '*)
        printf '%s\n' "$answer" | while IFS= read -r line; do
            case $line in
            'say '*) printf 'make:\t%s\n' "${line#say }" | beside '%-5s' ;;
            ' '*) printf '%s\n' "$line" ;; # to be copied
            esac
        done >&2
        echo no
        ;;
    *) echo "$answer" ;;
    esac
}

what=$1
shift
"$what" "$@"
