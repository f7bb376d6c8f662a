# What chapter 1 builds, and its server. The words are those of common/build.mk.
programs += $(here)/server $(here)/forkcost

servers   += 01
01.program := $(here)/server
01.label   := 1 fork per connection
01.family  := fork
01.can     := rest=0
