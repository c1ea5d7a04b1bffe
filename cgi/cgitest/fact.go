package cgitest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// absent is the value of the fact "!NAME". No line can state it otherwise.
const absent = "\n"

// splitFact splits a line at its first "=" outside a string literal. A fact without
// a value has the value "".
func splitFact(line string) (key, value string, err error) {
	if name, ok := strings.CutPrefix(line, "!"); ok {
		if _, err := parseName(name); err != nil {
			return "", "", fmt.Errorf("fact %.80q: %w", line, err)
		}
		return name, absent, nil
	}
	if strings.HasPrefix(line, `"`) {
		q, err := strconv.QuotedPrefix(line)
		if err != nil || !strings.HasPrefix(line[len(q):], "=") {
			return "", "", fmt.Errorf("fact %.80q: want a name in quotes and \"=\"", line)
		}
		return q, line[len(q)+1:], nil
	}
	key, value, ok := strings.Cut(line, "=")
	if ok && value == "" {
		return "", "", fmt.Errorf("fact %.80q: no value behind \"=\"", line)
	}
	return key, value, nil
}

// parseName returns the name of a variable, which is plain or a string literal.
func parseName(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		name, err := strconv.Unquote(s)
		if err != nil {
			return "", errors.New("the name is no string literal")
		}
		if plainName(name) {
			return "", errors.New("a plain name takes no quotes")
		}
		return name, nil
	}
	if !plainName(s) {
		return "", errors.New("the name needs quotes")
	}
	return s, nil
}

func plainName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('A' <= c && c <= 'Z' || i > 0 && (c == '_' || '0' <= c && c <= '9')) {
			return false
		}
	}
	return s != ""
}

// parseStrings returns string literals that stand with one space between them.
func parseStrings(s string) (values []string, err error) {
	for {
		q, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, errors.New("want string literals")
		}
		v, err := strconv.Unquote(q)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		if s = s[len(q):]; s == "" {
			return values, nil
		}
		if s[0] != ' ' {
			return nil, errors.New("want one space between string literals")
		}
		s = s[1:]
	}
}

// parseRecords returns the sizes of records, and whether an empty one ended them.
func parseRecords(s string) (records []CaptureRecord, ended bool, err error) {
	if s == "none" {
		return nil, false, nil
	}
	for _, f := range strings.Split(s, " ") {
		if ended {
			return nil, false, errors.New("\"end\" is not the last word")
		}
		if f == "end" {
			ended = true
			continue
		}
		content, padding, padded := strings.Cut(f, "+")
		c, err := strconv.ParseUint(content, 10, 16)
		if err != nil || c == 0 {
			return nil, false, fmt.Errorf("content of %q bytes; want 1 to 65535", content)
		}
		r := CaptureRecord{Content: int(c)}
		if padded {
			p, err := strconv.ParseUint(padding, 10, 8)
			if err != nil || p == 0 {
				return nil, false, fmt.Errorf("padding of %q bytes; want 1 to 255", padding)
			}
			r.Padding = int(p)
		}
		records = append(records, r)
	}
	return records, ended, nil
}

// parseSize returns a number of digits alone.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is no number below 2 GiB", s)
	}
	return int64(n), nil
}

func wantNoValue(value string) error {
	if value != "" {
		return errors.New("it takes no value")
	}
	return nil
}
