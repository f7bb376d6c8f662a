#!/bin/sh
# clangd.sh FOLDER COMMAND FILE ...: entries of a compile_commands.json, one for each file. COMMAND compiles it
# in FOLDER, with -c FILE behind it; %d in it stands for the name of the folder that the file lies in.
# https://clang.llvm.org/docs/JSONCompilationDatabase.html
set -eu
FOLDER=$1 COMMAND=$2
export FOLDER COMMAND
shift 2

awk '
    function quoted(text) { gsub(/[\\"]/, "\\\\&", text); return "\"" text "\"" }
    BEGIN {
        for (i = 1; i < ARGC; i++) {
            count = split(ARGV[i], part, "/")
            command = ENVIRON["COMMAND"] " -c " ARGV[i]
            gsub(/%d/, part[count - 1], command)
            printf "{\"directory\": %s, \"file\": %s,\n \"command\": %s},\n", quoted(ENVIRON["FOLDER"]), quoted(ARGV[i]), quoted(command)
        }
    }' "$@"
