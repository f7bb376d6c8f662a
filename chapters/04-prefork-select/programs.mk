# What chapter 4 builds, and its servers. The words are those of common/build.mk.
programs += $(here)/onefile $(here)/server $(here)/skeleton

# The modules that the chapters above build on, each with what it needs itself.
workers := $(here)/workers.o
pool    := $(here)/pool.o $(workers) $(fdpass)

$(here)/onefile: $(fdpass)
$(here)/server $(here)/skeleton: $(pool)

servers += 04-onefile
04-onefile.program := $(here)/onefile
04-onefile.label   := 4 in one file
04-onefile.family  := prefork
04-onefile.can     := rest=all hand-over select batch

servers   += 04
04.program := $(here)/server
04.label   := 4 prefork, select
04.family  := prefork
04.can     := rest=all hand-over select batch

$(tests)/pool: $(pool)
$(tests)/pool: wrap = fork socketpair accept4 select sendmsg read waitpid calloc nanosleep now_ms

$(tests)/workers: $(workers)
$(tests)/workers: wrap = now_ms fork_child children_impossible calloc
