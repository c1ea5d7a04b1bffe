package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/daemon"
)

// An option is a flag with a value: --name VALUE or --name=VALUE, with one dash or two.
// If alone is set, it is the value of --name without one. An option without a name gets
// the arguments that are not flags.
type option struct {
	name  string
	set   func(value string) error
	alone string
}

// setBool sets true or false, once.
func setBool(b **bool) func(string) error {
	return func(value string) error {
		if *b != nil {
			return errors.New("it is given twice: remove one")
		}
		if value != "true" && value != "false" {
			return fmt.Errorf("%q is not true or false", value)
		}
		on := value == "true"
		*b = &on
		return nil
	}
}

// setTo sets a string, once.
func setTo(s *string) func(string) error {
	return setOnce(s, func(value string) (string, error) { return value, nil })
}

// setOnce sets a value, parsed, once.
func setOnce[T any](field *T, parse func(string) (T, error)) func(string) error {
	given := false
	return func(value string) (err error) {
		switch {
		case given:
			return errors.New("it is given twice: remove one")
		case value == "":
			return errors.New("it is empty: write a value, or leave the flag out")
		}
		given = true
		*field, err = parse(value)
		return err
	}
}

// setDescriptor sets the number of a descriptor, once. Whether it is open is found later.
func setDescriptor(fd *int) func(string) error {
	return setOnce(fd, func(value string) (int, error) {
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n < 3 {
			return 0, fmt.Errorf("%q is not the number of a descriptor, 3 or more", value)
		}
		return int(n), nil
	})
}

// addTo appends each value, parsed.
func addTo[T any](list *[]T, parse func(string) (T, error)) func(string) error {
	return func(value string) error {
		v, err := parse(value)
		if err != nil {
			return err
		}
		*list = append(*list, v)
		return nil
	}
}

// parseFlags sets the options of a command. help reports whether help was requested.
func parseFlags(command string, args []string, options []option) (help bool, err error) {
	var names []string
	var operand func(string) error
	for _, o := range options {
		if o.name == "" {
			operand = o.set
			continue
		}
		names = append(names, "--"+o.name)
	}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "-h" || arg == "-help" || arg == "--help" {
			return true, nil
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			if operand != nil {
				if err := operand(arg); err != nil {
					return false, err
				}
				continue
			}
			return false, fmt.Errorf("%s takes no argument %q: flags begin with --", command, arg)
		}
		name, value, given := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		i := slices.IndexFunc(options, func(o option) bool { return o.name != "" && o.name == name })
		if i < 0 {
			return false, unknown("flag", "--"+name, names)
		}
		switch {
		case given:
		case options[i].alone != "":
			value = options[i].alone
		default:
			if len(args) == 0 {
				return false, fmt.Errorf("--%s needs a value: write --%s VALUE", name, name)
			}
			value, args = args[0], args[1:]
		}
		if err := options[i].set(value); err != nil {
			return false, fmt.Errorf("--%s: %w", name, err)
		}
	}
	return false, nil
}

// unknown returns the error for a word that is not in words.
func unknown(what, word string, words []string) error {
	hint := daemon.Suggest(word, words)
	switch {
	case hint != "":
	case what != "flag" && len(words) <= 6:
		hint = "write one of " + strings.Join(words, ", ")
	default:
		hint = `see "gatehouse help"`
	}
	return fmt.Errorf("unknown %s %q: %s", what, word, hint)
}
