# The front door: one target for each thing a reader does. `make` alone prints them, from the
# comments behind `##` in this file. How things are built stands in common/build.mk.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
include common/build.mk

chapters := $(notdir $(wildcard chapters/[0-9]*))
numbers  := $(foreach chapter,$(chapters),$(firstword $(subst -, ,$(chapter))))
prove     = CMOCKA_MESSAGE_OUTPUT=TAP prove -j4 --failures $(1) || { \
    echo "One test again, by its name: TEST_ONLY=NAME PROGRAM, both as printed above" >&2; exit 1; }

help: ## this list
	@LC_ALL=C sed -n 's/^\([a-zA-Z0-9%-]*\):.*## /\1\t/p' Makefile | sed -E '/NN-K|watch-/s/%/NN-K/; s/%/NN/' | expand -t 16

build: $(programs) $(ballast) $(trace) $(registry) ## compile all programs

check_tools := c++ cmocka prove python3 gnuplot clang clang-format clang-tidy cppcheck shellcheck valgrind gcovr spin \
    libfuzzer chromium tidy npm codespell strace gdb ss nc pgrep musl-gcc \
    $(if $(filter x86_64,$(shell uname -m)),gcc-multilib)

tests: $(unit_tests) $(server_tests) $(soaks) $(registry)

# Tests start Python some thousand times, and a worker of chapter 5 is in Python. The system's starts in a
# tenth of the time that the python3 of a version manager takes, which is a script.
test check check-exercises mutants soak compare peers cost growth knee omission timeline pictures valgrind \
    coverage: export PATH := /usr/bin:$(PATH)
test-% time-% timeline-%: export PATH := /usr/bin:$(PATH)

test: build $(unit_tests) $(server_tests) ## test everything
	@$(exercise_environment) $(call prove,$(unit_tests) $(server_tests) $(script_tests) $(exercise_tests))

chapter-%: build-% ## build, test and time chapter NN (01, 02, ...), and say what to do next
	@$(MAKE) test-$*
	@$(MAKE) time-$*
	@common/report/next.sh $*

trace-%: build-% ## the calls of chapter NN that matter, under strace
	@common/setup.sh python3 strace
	@common/lab/strace.py $*

fds-%: build-% ## who holds which descriptor in chapter NN, before and after a hand-over
	@common/setup.sh python3 ss
	@common/lab/fds.py $*

break-%: build-% $(ballast) ## provoke the failure that chapter NN speaks of
	@common/setup.sh python3 ss
	@common/lab/break.py $*

live-%: build ## a server under load, as it is now, with keys to kill and stop (also live-04-onefile; SECONDS=)
	@common/setup.sh python3 ss
	@common/lab/live.py '$*' $(SECONDS)

diff-%: ## what chapter NN changed in the modules of the chapter with a server before it, and which are new
	@$(there_is)
	@common/lab/diff.sh $*

compare: build ## compare fork with prefork: tables and plots (BASE=older.tsv: and with an earlier run)
	@common/setup.sh gnuplot python3
	@common/report/compare.py $(if $(BASE),"$(BASE)")

peers: build ## compare with floors, and with Apache, xinetd and socat
	@common/setup.sh gnuplot python3
	@for peer in apache2 xinetd socat; do common/setup.sh $$peer || true; done
	@common/report/peers.py

cost: build ## count what a connection costs: context switches, page faults, system calls, memory (10 minutes at most)
	@common/setup.sh python3
	@for tool in strace apache2 xinetd socat; do common/setup.sh $$tool || true; done
	@common/report/cost.py

growth: build ## see how the cost grows with workers, clients, bytes and the master's memory: plots
	@common/setup.sh gnuplot python3
	@common/report/growth.py

timeline: build ## draw what happens to 20 connections, in fork and in prefork, process by process
	@common/setup.sh gnuplot python3
	@common/report/timeline.py

timeline-%: build ## the same of one server: timeline-04, for example, or -05-python
	@common/setup.sh gnuplot python3
	@common/report/timeline.py $*

report: $(registry) ## all tables and plots measured so far, on one page for a browser or a web server
	@common/setup.sh python3
	@common/report/report.py

omission: build ## stop a worker for 200 ms, and see which kind of load notices: table and plot
	@common/setup.sh gnuplot python3
	@common/report/omission.py

knee: build ## raise the rate until each server falls behind: table and plot (3 minutes)
	@common/setup.sh gnuplot python3
	@common/report/knee.py

accuracy: $(BUILD)/common/load/load $(BUILD)/tests/accuracy/slow ## see how well load measures a latency that is known
	@common/setup.sh python3
	@common/report/accuracy.py

pictures: build ## measure anew, and renew the plots that the READMEs show
	@common/setup.sh gnuplot python3
	@common/report/pictures.py

check: ## the tests, and all from lint to soak; a line of result for each (half an hour)
	@common/setup.sh $(check_tools)
	@tests/check.sh

slides: $(BUILD)/slides/node_modules ## the decks, as HTML, and as PDF where Chromium is
	@slides/build.py $</.bin/marp $(BUILD)/slides
	@if command -v chromium >/dev/null; then slides/build.py $</.bin/marp $(BUILD)/slides --pdf; \
	    else echo 'slides: no PDF, since there is no chromium' >&2; fi

$(BUILD)/slides/node_modules: slides/package.json slides/package-lock.json
	@common/setup.sh npm python3
	@mkdir -p $(@D)
	@cp $^ $(@D)
	cd $(@D) && npm ci --no-audit --no-fund
	@touch $@

texts: ## renew the code that texts and slides show
	@common/text/excerpt.py $$(git ls-files '*.md')
	@tests/facts/facts.py --page >$(BUILD)/facts.md && cmp -s $(BUILD)/facts.md chapters/facts.md || cp $(BUILD)/facts.md chapters/facts.md

lint: ## warnings of both compilers, clang-tidy, cppcheck, shellcheck, clang-format
	@common/setup.sh clang clang-format clang-tidy cppcheck shellcheck
	@tests/lint.sh

portable: ## the suites on programs built with musl, and for 32 bits
	@common/setup.sh musl-gcc $(filter gcc-multilib,$(check_tools)) cmocka prove
	@tests/portable.sh

valgrind: build tests ## the suites again, with every program under valgrind
	@common/setup.sh valgrind
	@tests/valgrind.sh

coverage: ## what the tests reach, as text and as a page
	@common/setup.sh gcovr
	@tests/coverage.sh $(demonstrations:$(BUILD)/%=%.c)

model: ## check the hand-over protocol exhaustively, with spin
	@common/setup.sh spin
	@tests/model/check.sh $(BUILD)/model

facts: ## try what the texts claim about the system, claim by claim
	@common/setup.sh cc git python3
	@tests/facts/facts.py

fact-%: ## try one claim (fact-fin-then-reset): what was done, and what the system answered
	@tests/facts/facts.py '$*'

fuzz: ## fuzz read_fd, the pool and the command lines for a minute (FUZZ=seconds)
	@common/setup.sh libfuzzer
	@tests/fuzz/fuzz.sh $(or $(FUZZ),60) $(BUILD)

mutants: build tests ## put each known fault back, and see which test finds it
	@tests/mutants.sh

soak: build $(soaks) ## a million connections through each pool, with workers killed at random (SOAK=, SEED=)
	@for soak in $(soaks); do CMOCKA_MESSAGE_OUTPUT=TAP $$soak || exit; done

# ---- exercises: NN-K is a number such as 04-2 ---------------------------------------------------

exercise             = $(exercise_environment) FORCE='$(FORCE)' common/exercises/exercise.py
exercise_tools       = $(BUILD)/common/exercises/supervise $(library) $(patsubst %.h,$(BUILD)/%.o,$(wildcard chapters/*/*.h))
exercise_environment = BUILD='$(BUILD)' LDFLAGS='$(LDFLAGS)' \
    COMPILE='$(subst ','\'',$(CC) -std=c17 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) $(CPPFLAGS))'

exercises: ## the exercises: which are done, which is next
	@common/setup.sh python3
	@$(exercise) list

exercise-%: $(exercise_tools) ## build and test exercise NN-K (04-2), and say what is wrong (FROM=another folder)
	@common/setup.sh python3
	@$(exercise) run '$*' $(if $(FROM),'$(FROM)')

watch-%: $(exercise_tools) ## the same, again whenever a file is saved
	@common/setup.sh python3
	@$(exercise) watch '$*'

hint-%: ## a hint for exercise NN-K, one more at each call
	@$(exercise) hint '$*'

solution-%: ## what differs between your exercise NN-K, which passes, and ours (FORCE=1: in any case)
	@$(exercise) solution '$*'

reset-%: ## the starter of exercise NN-K again (FORCE=1: without asking); yours is kept, in mine/
	@$(exercise) reset '$*'

grade: $(exercise_tools) ## all exercises: a table, and results for other programs (SUBMISSION=another folder or zip)
	@common/setup.sh python3
	@$(exercise) grade '$(or $(SUBMISSION),exercises)' '$(or $(RESULTS),$(BUILD)/grade)'

autograder: ## a zip for Gradescope (EXERCISES='01-1 04-2': only these); see common/exercises/autograder
	@common/setup.sh python3
	@common/exercises/autograder/pack.py $(BUILD)/autograder.zip $(EXERCISES)

exercise-tools: $(exercise_tools)

check-exercises: $(exercise_tools) ## every starter, solution and wrong answer, hostile submissions, the autograder
	@common/setup.sh git prove python3
	@$(exercise_environment) prove -j2 --failures $(exercise_long_tests)

clean: ## remove all that was made; what is yours is in mine/, and stays
	$(if $(wildcard $(or $(MINE),mine) $(BUILD)/exercises $(BUILD)/results),@common/mine.py)
	rm -rf $(BUILD)

# ---- one chapter: `make -C chapters/NN-name build` and the like end here ----------------------

of = $(filter $(BUILD)/chapters/$*-% $(BUILD)/tests/chapters/$*-% $(BUILD)/tests/servers/contract-$*% $(BUILD)/tests/servers/faults-$*% tests/chapters/$*-%,$(1))

there_is = $(if $(filter $*,$(numbers)),:, \
    echo "make: there is no chapter \"$*\"; say one of: $(numbers)" >&2; exit 2)

build-%: $$(call of,$(programs)) $(BUILD)/common/load/load $(registry)
	@$(there_is)

test-%: build-% $$(call of,$(unit_tests) $(server_tests)) ## test chapter NN alone
	@$(call prove,$(call of,$(unit_tests) $(server_tests) $(script_tests)))

time-%: build-% ## time chapter NN alone
	@common/setup.sh gnuplot python3
	@common/report/time-chapter.py $*

# Every target that has a text above is something to do, and no file.
.PHONY: tests exercise-tools $(shell LC_ALL=C sed -n 's/^\([a-z-]*\):.*## .*/\1/p' Makefile)
