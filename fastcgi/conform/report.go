package conform

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// An Outcome says whether a clause holds.
type Outcome string

// The outcomes.
const (
	Pass          Outcome = "pass"
	Fail          Outcome = "fail"
	NotApplicable Outcome = "not applicable"
)

// A Result is the outcome of one clause.
type Result struct {
	ID      string  `json:"id"`      // such as F1b
	Section string  `json:"section"` // of FastCGI 1.0, unless it names another text; "" for none
	Clause  string  `json:"clause"`  // the requirement
	Outcome Outcome `json:"outcome"`
	Seen    string  `json:"seen"` // what was seen, or why nothing could be
}

// A Report holds the results of all clauses. The package comment describes its JSON.
type Report struct {
	Address       string   `json:"address"`
	Passed        int      `json:"passed"`
	Failed        int      `json:"failed"`
	NotApplicable int      `json:"not_applicable"`
	Results       []Result `json:"results"`
}

func (r *Report) add(res Result) {
	switch res.Outcome {
	case Pass:
		r.Passed++
	case Fail:
		r.Failed++
	default:
		r.NotApplicable++
	}
	r.Results = append(r.Results, res)
}

// WriteJSON writes the report as an indented JSON object and a newline.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// The colours of outcomes on a terminal.
const (
	green = "\x1b[32m"
	red   = "\x1b[31m"
	grey  = "\x1b[90m"
	plain = "\x1b[0m"
)

// WriteTable writes the report for people: two lines for each clause, and the totals.
// What the endpoint sent is quoted, so that it cannot control a terminal.
func (r *Report) WriteTable(w io.Writer, colour bool) error {
	var b strings.Builder
	for _, res := range r.Results {
		word, c := "pass", green
		switch res.Outcome {
		case Fail:
			word, c = "FAIL", red
		case NotApplicable:
			word, c = "n/a ", grey
		}
		if colour {
			word = c + word + plain
		}
		where := res.Section
		if where != "" && '0' <= where[0] && where[0] <= '9' {
			where = "§ " + where
		}
		if where != "" {
			where = " (" + where + ")"
		}
		fmt.Fprintf(&b, "%s  %-5s %s%s\n", word, res.ID, res.Clause, where)
		if res.Seen != "" {
			fmt.Fprintf(&b, "            %s\n", res.Seen)
		}
	}
	fmt.Fprintf(&b, "\n%s: %d pass, %d fail, %d not applicable\n", r.Address, r.Passed, r.Failed, r.NotApplicable)
	_, err := io.WriteString(w, b.String())
	return err
}

// A verdict is what a check returns.
type verdict struct {
	outcome Outcome
	seen    string
}

func pass(format string, args ...any) verdict {
	return verdict{Pass, fmt.Sprintf(format, args...)}
}

func fail(format string, args ...any) verdict {
	return verdict{Fail, fmt.Sprintf(format, args...)}
}

// without returns the verdict of a check whose precondition failed with v.
func (v verdict) without() verdict { return verdict{NotApplicable, v.seen} }

func notApplicable(format string, args ...any) verdict {
	return verdict{NotApplicable, fmt.Sprintf(format, args...)}
}
