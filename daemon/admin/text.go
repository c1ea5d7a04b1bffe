package admin

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// WriteText writes what fits on a screen: how the gateway is, its applications, and the
// requests in flight, of which it writes at most so many. before is an earlier Status, for
// rates, or nil.
func (s *Status) WriteText(w io.Writer, before *Status, requests int) error {
	var b strings.Builder
	level, reasons := s.Assess()
	fmt.Fprintf(&b, "gatehouse %v: %d in flight, %d waiting, %d ended, %d failed", level, s.Requests.InFlight, s.Requests.Waiting, s.Requests.Ended, s.Requests.Failed())
	if before != nil {
		if t := s.Time.Sub(before.Time).Seconds(); t > 0 {
			fmt.Fprintf(&b, ", %.1f/s", float64(s.Requests.Ended-before.Requests.Ended)/t)
		}
	}
	b.WriteByte('\n')
	for _, r := range reasons {
		fmt.Fprintf(&b, "  %s\n", printable(r))
	}
	fmt.Fprintf(&b, "\n%s, process %d, up %s\n", printable(strings.TrimSpace("version "+s.Version)), s.Process.PID, since(s.Started, s.Time))
	fmt.Fprintf(&b, "memory %s, descriptors %s, connections %s, spool %s\n", measured(s.Process.Memory, true).Text,
		measured(s.Process.Descriptors, false).Text, newMeter(s.Connections, false).Text, newMeter(s.Spool, true).Text)

	b.WriteByte('\n')
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "application\tended\t4xx\t5xx\ttruncated\tclient left\tin flight\trunning\tqueue\ttime half / 95 %")
	for i := range s.Applications {
		a := &s.Applications[i]
		if a.Name == "" && a.Ended == 0 && a.InFlight == 0 {
			continue
		}
		running, queue := "", ""
		if a.Running != nil {
			running = newMeter(*a.Running, false).Text
		}
		if a.Queue != nil {
			queue = newMeter(*a.Queue, false).Text
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", printable(applicationName(a.Name)), a.Ended, a.Classes["4xx"], a.Classes["5xx"], a.Classes["truncated"],
			a.Classes["gone"], a.Requests.InFlight, running, queue, timesText(a.Duration))
	}
	t.Flush()

	if len(s.InFlight) > 0 && requests > 0 {
		b.WriteByte('\n')
		fmt.Fprintln(t, "id\tage\tstate\tclient\tapplication\tpid\trequest")
		shown := s.InFlight[:min(requests, len(s.InFlight))]
		for _, r := range shown {
			pid := ""
			if r.PID != 0 {
				pid = strconv.Itoa(r.PID)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s %s\n", printable(r.ID), took(r.Age), printable(r.State), printable(r.Client), printable(applicationName(r.Application)), pid, printable(r.Method), printable(r.Target))
		}
		t.Flush()
		if n := s.Requests.InFlight - len(shown); n > 0 {
			fmt.Fprintf(&b, "and %d more\n", n)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printable returns what others have written in a form that no terminal obeys, on one line.
func printable(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && s[i] != 0xef:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}
