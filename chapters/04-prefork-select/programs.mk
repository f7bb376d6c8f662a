# What chapter 4 builds, and its server. The words are those of common/build.mk.
programs += $(here)/server

# The module that the chapters above build on, and what it needs itself.
pool := $(here)/pool.o $(fdpass)

$(here)/server: $(pool)

servers   += 04
04.program := $(here)/server
04.label   := 4 prefork, select
04.family  := prefork
04.can     := rest=all hand-over select batch

$(tests)/pool: $(pool)
$(tests)/pool: wrap = fork socketpair accept4 select sendmsg read waitpid calloc
