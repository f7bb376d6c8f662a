# The front door: one target for each thing a reader does. `make help` prints them, from the comments
# behind `##` in this file, in the groups that it has. How things are built stands in common/build.mk.

.DEFAULT_GOAL := first
MAKEFLAGS += --no-print-directory
# Names are data. In one that somebody else has given, make would expand what is behind a $, and a shell run what is
# behind a quote: so these are taken as they stand, and get to programs through the environment alone.
$(foreach name,SUBMISSION SUBMISSIONS RESULTS EXERCISES OVERLAY FROM BASE, \
    $(if $(value $(name)),$(eval override $(name) := $$(value $(name)))$(eval export $(name))))
include common/front.mk
ifneq ($(asked),no)
include common/build.mk

chapters := $(notdir $(wildcard chapters/[0-9]*))
numbers  := $(foreach chapter,$(chapters),$(firstword $(subst -, ,$(chapter))))
# Of its time at the end prove tells that of the tests alone: with its own, the line would not fit a terminal.
brief    := PERL5OPT='-MBenchmark;$$Benchmark::Default_Style="nop"'
# And 3 and 4, by which make with -j hands out work, would be open in all that is tested.
# The empty exec has each started as it is named: else prove of Perl 5.40 takes the whole path, and splits it at blanks.
# Most tests mostly wait: so there are many at a time, and on a busy machine one may take minutes.
prove     = CMOCKA_MESSAGE_OUTPUT=TAP TEST_SECONDS=$${TEST_SECONDS:-900} $(brief) prove --exec '' -j$$((2 * $$(nproc) + 2)) --failures $(1) 3<&- 4<&- || { \
    echo "One test again, by its name: TEST_ONLY=NAME PROGRAM, both as printed above" >&2; exit 1; }

# Of 07-pidfd, that of chapter 07.
build_of  = build-$(firstword $(subst -, ,$*))

# ---- learn --------------------------------------------------------------------------------------

first:
	@common/front.sh first

help: ## everything that make can do, in groups
	@common/front.sh all || [ $$? -eq 141 ] # whoever reads it has had enough

setup: ## what this machine lacks, and one command that brings it
	$(call answer,,common/setup.sh --list)

build: $(programs) $(ballast) $(trace) $(registry) ## compile all programs
	$(call there,build: $(words $(programs)) programs are in $(BUILD)/chapters and $(BUILD)/common)

tests: $(unit_tests) $(server_tests) $(soaks) $(registry)

# Tests start Python some thousand times, and a worker of chapter 5 is in Python. The system's starts in a
# tenth of the time that the python3 of a version manager takes, which is a script.
test check check-exercises check-project mutants soak compare peers cost growth knee omission timeline pictures valgrind \
    book coverage: export PATH := /usr/bin:$(PATH)
test-% time-% timeline-%: export PATH := /usr/bin:$(PATH)

# The longest first, so that none runs alone at the end.
test: ## test everything (some minutes)
	$(call answer,build $(unit_tests) $(server_tests),$(exercise_environment) \
	    $(call prove,$(exercise_tests) $(source_tests) $(script_tests) $(unit_tests) $(server_tests)))

chapter-%: ## build, test and time chapter NN, and say what to do next
	$(call answer,build-$*,$(remake) test-$* && $(remake) time-$* && common/report/next.sh $*)

trace-%: ## the system calls that matter, by strace: NN, or 07-pidfd
	$(call answer,$(build_of),common/setup.sh python3 strace && common/lab/strace.py $*)

fds-%: ## who holds which descriptor, at a hand-over: NN, or 07-pidfd
	$(call answer,$(build_of),common/setup.sh python3 ss && common/lab/fds.py $*)

break-%: ## provoke the failure that chapter NN speaks of
	$(call answer,build-$* $(ballast),common/setup.sh python3 ss && common/lab/break.py $*)

live-%: ## server NN, or 04-onefile, under load, with keys (SECONDS=)
	$(call answer,build,common/setup.sh python3 ss && common/lab/live.py '$*' $(SECONDS))

diff-%: ## what chapter NN changed in the modules of the one before
	$(call answer,,common/setup.sh python3 && common/lab/diff.py $*)

facts: ## try what the texts claim about the system, claim by claim
	$(call answer,,common/setup.sh cc git python3 && tests/facts/facts.py)

fact-%: ## try one claim, such as fact-fin-then-reset
	$(call answer,,tests/facts/facts.py '$*')

compile_commands.json: ## for clangd: how each file is compiled
	@{ $(commands) } | sed '1s/^/[/; $$s/,$$/]/' >$@.$$$$ && mv -f $@.$$$$ $@
	$(call there,$@ says how $$(grep -c '"command":' $@) files are compiled)

# ---- measure ------------------------------------------------------------------------------------

compare: ## fork against prefork: tables and plots (BASE=older.tsv)
	$(call answer,build,common/setup.sh gnuplot python3 && \
	    common/report/compare.py $(if $(BASE),"$$BASE"))

peers: ## beside Apache, xinetd, socat, and the least there can be
	$(call answer,build,common/setup.sh gnuplot python3 && \
	    common/setup.sh --optional apache2 xinetd socat && common/report/peers.py)

cost: ## what a connection costs besides time (10 minutes at most)
	$(call answer,build,common/setup.sh python3 && \
	    common/setup.sh --optional strace apache2 xinetd socat && common/report/cost.py)

growth: ## how the cost grows with workers, clients, bytes and memory
	$(call answer,build,common/setup.sh gnuplot python3 && common/report/growth.py)

timeline: ## draw what happens to 20 connections, process by process
	$(call answer,build,common/setup.sh gnuplot python3 && common/report/timeline.py)

timeline-%: ## the same of one server: NN, or 05-python
	$(call answer,build,common/setup.sh gnuplot python3 && common/report/timeline.py $*)

hand-over-%: ## a page to go through a hand-over call by call: NN, or 07-exec
	$(call answer,build,common/setup.sh python3 && common/book/handover.py '$*')

report: ## all tables and plots measured so far, on one page
	$(call answer,$(registry),common/setup.sh python3 && common/report/report.py)

book: ## the course as a site, an EPUB and a PDF, in build/book
	$(call answer,build,common/setup.sh npm python3 sphinx chromium && $(remake) slides && \
	    $(remake) -s $(BUILD)/book/node_modules && common/book/book.py)

$(BUILD)/book/node_modules: common/book/package.json common/book/package-lock.json
	$(run)mkdir -p $(@D) && cp $^ $(@D) && cd $(@D) && npm ci --no-audit --no-fund && touch $(@F)

omission: ## stop a worker for 200 ms, and see which load notices
	$(call answer,build,common/setup.sh gnuplot python3 && common/report/omission.py)

knee: ## raise the rate until each server falls behind (3 minutes)
	$(call answer,build,common/setup.sh gnuplot python3 && common/report/knee.py)

accuracy: ## how well load measures a latency that is known
	$(call answer,$(BUILD)/common/load/load $(BUILD)/tests/accuracy/slow,common/setup.sh python3 && \
	    common/report/accuracy.py)

pictures: ## measure anew, and renew the plots that the READMEs show
	$(call answer,build,common/setup.sh gnuplot python3 && common/report/pictures.py)

# ---- maintain -----------------------------------------------------------------------------------

check: ## the tests, and all from lint to soak (about an hour)
	$(call answer,,common/setup.sh --check && tests/check.sh)

# ---- teach --------------------------------------------------------------------------------------

marp = $(BUILD)/slides/node_modules/.bin/marp

slides: ## the decks, as HTML; and where Chromium is as PDF: slides, handout, notes
	$(call answer,,common/setup.sh npm python3 && $(remake) -s $(BUILD)/slides/node_modules && \
	    slides/build.py $(marp) $(BUILD)/slides $$(command -v chromium) && \
	    { command -v chromium >/dev/null || echo 'slides: without chromium no PDF is made' >&2; })

quiz: ## ten questions on each chapter, to print; answers apart
	$(call answer,,common/setup.sh npm python3 && $(remake) -s $(BUILD)/slides/node_modules && slides/quiz.py)

exam: ## two papers, and how to mark them (OVERLAY=, SEED=)
	$(call answer,,common/setup.sh npm python3 && $(remake) -s $(BUILD)/slides/node_modules && slides/exam.py)

$(BUILD)/slides/node_modules: slides/package.json slides/package-lock.json
	$(run)mkdir -p $(@D) && cp $^ $(@D) && cd $(@D) && npm ci --no-audit --no-fund && touch $(@F)

# ---- maintain -----------------------------------------------------------------------------------

texts: ## renew code in texts and slides, schedules, translations
	@common/text/excerpt.py $$(git ls-files '*.md')
	@slides/schedule.py
	@tests/facts/facts.py --page
	@common/setup.sh po4a && common/book/translate.py

lint: ## warnings of compilers and linters, and the format
	@common/setup.sh clang clang-format clang-tidy cppcheck shellcheck llhttp
	@tests/lint.sh

portable: ## the suites on programs built with musl, and for 32 bits
	@common/setup.sh musl-gcc gcc-multilib cmocka prove
	@tests/portable.sh

valgrind: build tests ## the suites again, with every program under valgrind
	@common/setup.sh valgrind
	@tests/valgrind.sh

coverage: ## what the tests reach, as text and as a page
	@common/setup.sh gcovr
	@tests/coverage.sh $(demonstrations:$(BUILD)/%=%.c)

model: ## check hand-over and lock in every order, with spin
	@common/setup.sh spin
	@tests/model/check.sh $(BUILD)/model

fuzz: ## fuzz read_fd, the pool and the command lines (FUZZ=seconds)
	@common/setup.sh libfuzzer
	@tests/fuzz/fuzz.sh $(or $(FUZZ),60) $(BUILD)

mutants: build tests ## put each known fault back, and see which test finds it
	@tests/mutants.sh

bare: ## the README's commands on a Debian that has nothing (SUITE=)
	$(call answer,,tests/bare.sh $(or $(SUITE),trixie))

soak: build $(soaks) ## a million connections through each pool (SOAK=, SEED=)
	@for soak in $(soaks); do CMOCKA_MESSAGE_OUTPUT=TAP $$soak || exit; done

# ---- exercises: NN-K is a number such as 04-2 ---------------------------------------------------

exercise             = $(exercise_environment) FORCE=$(call quoted,$(FORCE)) common/exercises/exercise.py
exercise_tools       = $(BUILD)/common/exercises/supervise $(library) $(patsubst %.h,$(BUILD)/%.o,$(wildcard chapters/*/*.h))
exercise_environment = BUILD='$(BUILD)' LDFLAGS='$(LDFLAGS)' \
    COMPILE='$(subst ','\'',$(CC) -std=c17 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) $(CPPFLAGS))'

exercises: ## the exercises: which are done, which is next
	$(call answer,,common/setup.sh python3 && $(exercise) list)

exercise-%: ## test your exercise NN-K, and say what is wrong (FROM=folder)
	$(call answer,exercise-tools,common/setup.sh python3 && $(exercise) run $(call quoted,$*) $(if $(FROM),"$$FROM"))

watch-%: ## the same for NN-K, again whenever a file is saved
	$(call answer,exercise-tools,common/setup.sh python3 && $(exercise) watch $(call quoted,$*))

hint-%: ## a hint for exercise NN-K, one more at each call
	$(call answer,,$(exercise) hint $(call quoted,$*))

solution-%: ## your exercise NN-K, which passes, beside ours (FORCE=1)
	$(call answer,,$(exercise) solution $(call quoted,$*))

reset-%: ## the starter of exercise NN-K again (FORCE=1); yours is kept
	$(call answer,,$(exercise) reset $(call quoted,$*))

# What is to be built of the parser knows a make that finds it there.
project_tools   = common/setup.sh cc python3 curl ab llhttp && $(remake) -s project-tools
project_judge   = $(exercise_environment) tests/exercises/project-http

project: ## judge exercises/project-http (FROM=folder, SEED=, ONLY=7-*)
	$(call answer,,$(project_tools) && $(project_judge)/judge.py $(if $(FROM),"$$FROM"))

# ---- teach --------------------------------------------------------------------------------------

grade: ## points, as a table (SUBMISSION=folder or zip, EXERCISES=)
	$(call answer,exercise-tools,common/setup.sh python3 && $(exercise) grade)

grade-all: ## a folder of submissions: CSV and a page (SUBMISSIONS=)
	$(call answer,exercise-tools,common/setup.sh python3 && $(exercise) grade-all)

autograder: ## a zip for Gradescope (EXERCISES='01-1 04-2': only these)
	$(call answer,,common/setup.sh python3 && \
	    common/exercises/autograder/pack.py $(BUILD)/autograder.zip $$EXERCISES)

# ---- maintain -----------------------------------------------------------------------------------

exercise-tools: $(exercise_tools)
	$(run):

project-tools: $(exercise_tools) $(llhttp_built)
	$(run)mkdir -p $(BUILD)/llhttp && echo '$(llhttp)' >$(BUILD)/llhttp/flags.$$$$ && mv $(BUILD)/llhttp/flags.$$$$ $(BUILD)/llhttp/flags

check-project: ## the project: starter, solution, wrong projects
	@$(project_tools)
	@$(project_judge)/check.py

check-exercises: $(exercise_tools) ## starters, solutions, wrong answers, hostile submissions
	@common/setup.sh git prove python3
	@$(exercise_environment) $(brief) prove --exec '' -j2 --failures $(exercise_long_tests)

clean: ## remove all that was made, but for what is yours, in mine/
	$(if $(wildcard $(or $(MINE),mine) $(BUILD)/exercises $(BUILD)/results),@common/mine.py)
	rm -rf $(BUILD) compile_commands.json

# ---- learn: one chapter; `make -C chapters/NN-name build` and the like end here -----------------

of = $(filter $(BUILD)/chapters/$*-% $(BUILD)/tests/chapters/$*-% $(BUILD)/tests/servers/contract-$*% $(BUILD)/tests/servers/faults-$*% tests/chapters/$*-%,$(1))

there_is = $(if $(filter $*,$(numbers)),:, \
    echo "make: there is no chapter \"$*\"; say one of: $(numbers)" >&2; exit 1)

build-%: $$(call of,$(programs)) $(BUILD)/common/load/load $(registry)
	$(run)$(there_is)
	$(call there,$@: $(words $(call of,$(programs))) programs are in $(BUILD)/chapters/$(filter $*-%,$(chapters)))

test-%: ## test chapter NN alone
	$(call answer,build-$* $(call of,$(unit_tests) $(server_tests)), \
	    $(call prove,$(call of,$(unit_tests) $(server_tests) $(script_tests))))

time-%: ## time chapter NN alone, in turn with those that it is compared with
	$(call answer,build,common/setup.sh gnuplot python3 && common/report/time-chapter.py $*)

# Every target that has a text above is something to do, and no file.
.PHONY: first tests exercise-tools project-tools $(shell LC_ALL=C sed -n 's/^\([a-z_.-]*\):.*## .*/\1/p' Makefile)

endif
