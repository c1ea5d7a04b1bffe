package main

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A synopsis is a command as the usage shows it. What completes words in shells is made
// from it.
type synopsis struct {
	command  string
	flags    []flagForm
	operands []string // words that may follow
}

// A flagForm is a flag, and the placeholder of its value, such as "FILE" or
// "off|stderr|FILE". A flag without a placeholder needs no value.
type flagForm struct{ name, value string }

// Patterns are compiled when they are used first, since every gatehouse cgi is a new process.
var (
	commandLine  = pattern(`^    gatehouse ([a-z]+) *(.*)`)
	continuation = pattern(`^ {16,}([\[-].*)`)
	flagWord     = pattern(`--([a-z][a-z-]*)(?:[= ]([^ ]+))?`)
	optional     = pattern(`\[[^\]]*\]`)
	operandWord  = pattern(`^[a-z]+(\|[a-z]+)*$`)
)

func pattern(s string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(s) })
}

// synopses returns the commands in the usages of all.
func synopses() (list []*synopsis) {
	var last *synopsis
	for line := range strings.Lines(usage + explainUsage + conformUsage + requestUsage + statusUsage + cgiUsage + serviceUsage + snippetUsage) {
		line = strings.TrimRight(line, "\n")
		if m := commandLine().FindStringSubmatch(line); m != nil {
			i := slices.IndexFunc(list, func(s *synopsis) bool { return s.command == m[1] })
			if i < 0 {
				i = len(list)
				list = append(list, &synopsis{command: m[1]})
			}
			last = list[i]
			last.add(list, m[2])
		} else if m := continuation().FindStringSubmatch(line); m != nil && last != nil {
			last.add(list, m[1])
		} else {
			last = nil
		}
	}
	return list
}

// add adds the flags and words of a line. What follows several spaces is a description.
func (s *synopsis) add(list []*synopsis, line string) {
	line, _, _ = strings.Cut(line, "   ")
	if rest, ok := strings.CutPrefix(line, "[serve's flags]"); ok {
		line = rest
		for _, f := range list[0].flags { // serve is the first
			s.addFlag(f)
		}
	}
	for _, m := range flagWord().FindAllStringSubmatch(line, -1) {
		value := strings.TrimSuffix(m[2], "...")
		if strings.Count(value, "[") < strings.Count(value, "]") {
			value = value[:len(value)-1] // the bracket around the flag
		}
		s.addFlag(flagForm{m[1], value})
	}
	for word := range strings.FieldsSeq(flagWord().ReplaceAllString(line, "")) {
		if word = strings.Trim(word, "[]"); operandWord().MatchString(word) {
			s.operands = append(s.operands, strings.Split(word, "|")...)
		}
	}
}

func (s *synopsis) addFlag(f flagForm) {
	if !slices.Contains(s.flags, f) {
		s.flags = append(s.flags, f)
	}
}

// A completion is what may complete the value of a flag.
type completion struct {
	words        []string
	files, users bool
}

// completion returns what may complete the value.
func (f flagForm) completion() (c completion) {
	value := optional().ReplaceAllString(f.value, "")
	for word := range strings.SplitSeq(value, "|") {
		switch {
		case word == "FILE":
			c.files = true
		case word == "USER":
			c.users = true
		case word == "false":
			c.words = append(c.words, "true", "false")
		case word != strings.ToUpper(word):
			c.words = append(c.words, word)
		default:
			c.words = append(c.words, explained(word)...)
		}
	}
	return c
}

// explained returns the words that the usage lists for a placeholder, up to a colon.
func explained(placeholder string) (words []string) {
	_, block, found := strings.Cut(usage, "\n"+placeholder+" is one of\n")
	if !found {
		return nil
	}
	for line := range strings.Lines(block) {
		if !strings.HasPrefix(line, "    ") {
			break
		}
		word := strings.Fields(line)[0]
		if i := strings.IndexByte(word, ':'); i >= 0 {
			word = word[:i+1]
		}
		if word == strings.ToLower(word) {
			words = append(words, word)
		}
	}
	return words
}
