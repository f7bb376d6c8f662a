# What chapter 2 builds. The words are those of common/build.mk.
programs       += $(here)/pingpong
demonstrations += $(here)/boundaries
