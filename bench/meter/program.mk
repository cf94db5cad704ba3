# Builds one load generator from its own sources and those shared by all (../meter).
# PROGRAM names it; the result is $(BUILD)/$(PROGRAM). Needs gcc and the headers of OpenSSL.
BUILD ?= ../.build/$(PROGRAM)
SHARED = ../meter
CC = gcc
CFLAGS = -std=gnu11 -O2 -Wall -Wextra -Werror -I$(SHARED)
OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(notdir $(wildcard *.c $(SHARED)/*.c)))
VPATH = $(SHARED)

$(BUILD)/$(PROGRAM): $(OBJECTS)
	$(CC) -o $@ $^ -lssl -lcrypto

$(BUILD)/%.o: %.c $(wildcard *.h $(SHARED)/*.h) | $(BUILD)
	$(CC) $(CFLAGS) -c -o $@ $<

$(BUILD):
	mkdir -p $@
