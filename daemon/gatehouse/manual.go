package main

import (
	"fmt"
	"strings"

	"gatehouse/daemon"
)

// pages are the man pages, which packages hold: help topics named like their files.
var pages = map[string]func() string{
	"gatehouse.1":      commandPage,
	"gatehouse.toml.5": configPage,
	"fcgiwrap.8":       fcgiwrapPage,
}

// commandPage returns gatehouse(1): the usages of all commands.
func commandPage() string {
	var b roff
	b.title("GATEHOUSE", 1, "gatehouse", "gateway between web servers and CGI programs")
	summary, rest, _ := strings.Cut(usage, "\n\n")
	_, summary, _ = strings.Cut(summary, " ")
	synopsis, rest, _ := strings.Cut(rest, "\n\n")
	b.section("SYNOPSIS")
	b.text(synopsis)
	b.section("DESCRIPTION")
	b.text("Gatehouse " + summary + "\n\n" + rest)
	for _, s := range []struct{ name, usage string }{{"GATEHOUSE EXPLAIN", explainUsage}, {"GATEHOUSE STATUS", statusUsage}, {"GATEHOUSE REQUEST", requestUsage},
		{"GATEHOUSE CGI", cgiUsage}, {"GATEHOUSE CONFORM", conformUsage}, {"GATEHOUSE SERVICE", serviceUsage}, {"GATEHOUSE SNIPPET", snippetUsage}} {
		b.section(s.name)
		b.text(s.usage)
	}
	b.section("FILES")
	b.entry(standardConfig, "The configuration, gatehouse.toml(5).")
	b.section("SEE ALSO")
	b.text("gatehouse.toml(5), systemd.socket(5)")
	return b.String()
}

// configPage returns gatehouse.toml(5): the keys and the limits.
func configPage() string {
	var b roff
	b.title("GATEHOUSE.TOML", 5, "gatehouse.toml", "configuration of gatehouse")
	b.section("DESCRIPTION")
	b.text(`gatehouse serve --config FILE reads this file, in TOML. Paths in it are absolute, and unknown keys are errors. "gatehouse check" finds mistakes.

The examples are values, and where a key has a default mostly that.`)
	b.section("TOP LEVEL")
	inApp := false
	for _, k := range daemon.KeyTable() {
		if k.PerApp && !inApp {
			inApp = true
			b.section("APPLICATIONS")
			b.text("Write one [[app]] for each application. These keys belong in it. A single application needs none: its keys may be at the top level, but for fastcgi and scgi, which say there where to listen.")
		}
		b.entry(k.Name+" = "+k.Example, capital(k.Text)+".")
	}
	b.section("FIELDS OF ACCESS_LOG_FORMAT")
	b.text("A template has any of these fields. Times are in seconds, and what is not known is \"-\".")
	for _, f := range daemon.AccessFields() {
		b.entry("$"+f.Name, capital(f.Text)+".")
	}
	b.entry("$http_NAME", "A header field of the request, such as $http_user_agent.")
	b.section("LIMITS")
	b.text("These keys belong at the top level, above the first [[app]]. Those with * may also be in an [[app]], and then apply to it alone. Most may be \"off\".")
	for _, l := range daemon.LimitTable() {
		key := l.Key
		if l.PerApp {
			key += " *"
		}
		b.entry(key, "Default: "+l.Default+". Beyond it: "+l.Over+".")
	}
	b.section("SEE ALSO")
	b.text("gatehouse(1)")
	return b.String()
}

// fcgiwrapPage returns fcgiwrap(8), for the package that replaces it.
func fcgiwrapPage() string {
	var b roff
	b.title("FCGIWRAP", 8, "fcgiwrap", "gatehouse in the place of fcgiwrap")
	b.section("DESCRIPTION")
	b.text(fcgiwrapUsage)
	b.section("SEE ALSO")
	b.text("gatehouse(1)")
	return b.String()
}

func capital(s string) string {
	if word, _, _ := strings.Cut(s, " "); strings.ContainsAny(word, ".:") {
		return s // a value or a name, which is as it is
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// A roff collects a man page.
type roff struct{ strings.Builder }

func (b *roff) title(title string, section int, name, summary string) {
	fmt.Fprintf(b, ".TH %s %d\n.SH NAME\n%s \\- %s\n", title, section, name, summary)
}

func (b *roff) section(name string) { fmt.Fprintf(b, ".SH %s\n", name) }

// entry writes a term, in bold, and its explanation.
func (b *roff) entry(term, text string) {
	fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", escape(term), escape(text))
}

// text writes paragraphs. Indented lines stay as they are.
func (b *roff) text(s string) {
	verbatim := false
	for line := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		indented := strings.HasPrefix(line, "    ")
		switch {
		case indented && !verbatim:
			b.WriteString(".RS 4\n.nf\n")
			verbatim = true
		case !indented && verbatim:
			b.WriteString(".fi\n.RE\n")
			verbatim = false
		}
		switch {
		case line == "":
			b.WriteString(".PP\n")
		case indented:
			b.WriteString(escape(line[4:]) + "\n")
		default:
			b.WriteString(escape(line) + "\n")
		}
	}
	if verbatim {
		b.WriteString(".fi\n.RE\n")
	}
}

// escape makes a line of text one of roff.
func escape(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "…", "...").Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}
