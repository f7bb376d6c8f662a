#!/bin/sh
# setup.sh: prepares a machine for run_autograder. Gradescope runs it once, as root, when it builds
# the image: what is in the zip (see pack.py) lies in /autograder/source then.
#
# AUTOGRADER is another folder than /autograder.
set -eu
cd "${AUTOGRADER:-/autograder}/source"

common/setup.sh cc make python3
make -s exercise-tools
