package main

import (
	"fmt"
	"strings"
)

// A letter is an option of one letter, with its value.
type letter struct {
	name  byte
	value string
}

// getopt parses arguments as getopt(3) does: known lists the letters, with a colon after
// those that take a value. One argument may hold several letters. "--" ends the options;
// other arguments are ignored.
func getopt(args []string, known string) (letters []letter, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			continue
		}
		for rest := arg[1:]; rest != ""; {
			c := rest[0]
			rest = rest[1:]
			i := strings.IndexByte(known, c)
			switch {
			case i < 0 || c == ':':
				return nil, fmt.Errorf("unknown option -%c", c)
			case i+1 == len(known) || known[i+1] != ':':
				letters = append(letters, letter{name: c})
				continue
			case rest == "" && len(args) == 0:
				return nil, fmt.Errorf("option -%c requires an argument", c)
			case rest == "":
				rest, args = args[0], args[1:]
			}
			letters = append(letters, letter{c, rest})
			rest = ""
		}
	}
	return letters, nil
}
