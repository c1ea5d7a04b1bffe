package main

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/daemon"
)

// topics are the help topics that are not commands.
var topics = []string{"config", "limits"}

// help prints the usage, or the help on one topic. Commands are topics, too.
func (p *process) help(args []string) int {
	topic := ""
	switch len(args) {
	case 0:
	case 1:
		topic = args[0]
	default:
		return p.fail(fmt.Errorf("help takes one topic: leave out %q", args[1]))
	}
	switch topic {
	case "", "serve", "check", "reload", "drain", "completion", "version", "help":
		return p.print(usage)
	case "conform":
		return p.print(conformUsage)
	case "request":
		return p.print(requestUsage)
	case "service":
		return p.print(serviceUsage)
	case "snippet":
		return p.print(snippetUsage)
	case "cgi":
		return p.print(cgiUsage)
	case "explain":
		return p.print(explainUsage)
	case "status", "top", "abort":
		return p.print(statusUsage)
	case "config":
		return p.print(configHelp())
	case "limits":
		return p.print(limitsHelp())
	}
	if page := pages[topic]; page != nil {
		return p.print(page())
	}
	return p.fail(unknown("topic", topic, slices.Concat(topics, commands)))
}

const configHead = `# The keys of the configuration file (TOML), with an example of each. For the
# limits, see "gatehouse help limits". Paths are absolute.
`

const appHead = `# An application. Write one [[app]] for each. A single application needs none: its
# keys may be at the top level, but for fastcgi and scgi, which say there where to
# listen.
[[app]]
`

// configHelp returns the table of keys in the form of a configuration.
func configHelp() string {
	var b strings.Builder
	b.WriteString(configHead)
	inApp := false
	for _, k := range daemon.KeyTable() {
		if k.PerApp && !inApp {
			inApp = true
			b.WriteString("\n" + appHead)
		}
		fmt.Fprintf(&b, "\n# %s\n%s = %s\n", k.Text, k.Name, k.Example)
	}
	return b.String()
}

const limitsHead = `Write these keys at the top level of the configuration file, above the first
[[app]]. Keys with * may also be in an [[app]], and then apply to it alone.

`

// limitsHelp returns the table of limits.
func limitsHelp() string {
	rows := [][3]string{{"KEY", "DEFAULT", "BEYOND IT"}}
	for _, l := range daemon.LimitTable() {
		key := l.Key
		if l.PerApp {
			key += " *"
		}
		rows = append(rows, [3]string{key, l.Default, l.Over})
	}
	var width [2]int
	for _, r := range rows {
		width[0], width[1] = max(width[0], len(r[0])), max(width[1], len(r[1]))
	}
	var b strings.Builder
	b.WriteString(limitsHead)
	for _, r := range rows {
		fmt.Fprintf(&b, "%-*s  %-*s  %s\n", width[0], r[0], width[1], r[1], r[2])
	}
	return b.String()
}
