package admin

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
)

// took formats a time in seconds.
func took(s float64) string {
	switch {
	case s < 0:
		return "> 5 min"
	case s == 0:
		return "0"
	case s < 0.001:
		return strconv.FormatFloat(s*1e6, 'f', 0, 64) + " µs"
	case s < 1:
		return strconv.FormatFloat(s*1e3, 'g', 3, 64) + " ms"
	case s < 60:
		return strconv.FormatFloat(s, 'f', 1, 64) + " s"
	}
	d := time.Duration(s * float64(time.Second)).Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	if d < 48*time.Hour {
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// size formats a number of bytes.
func size(n int64) string {
	f := float64(n)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if f < 1024 {
			if unit == "B" {
				return fmt.Sprintf("%.0f B", f)
			}
			return fmt.Sprintf("%.1f %s", f, unit)
		}
		f /= 1024
	}
	return fmt.Sprintf("%.1f TiB", f)
}

// since formats the time between two points.
func since(from, to time.Time) string {
	if from.IsZero() {
		return "–"
	}
	return took(max(to.Sub(from), 0).Seconds())
}

// clock formats a point of time on this machine.
func clock(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format("15:04:05")
}

func applicationName(name string) string {
	if name == "" {
		return "(none)"
	}
	return name
}

// timesText formats how long something took.
func timesText(t Times) string {
	if t.Count == 0 {
		return "–"
	}
	return took(t.Median) + " / " + took(t.P95)
}

func lines(s string) []string { return strings.Split(s, "\n") }

func total(m map[string]uint64) (n uint64) {
	for _, x := range m {
		n += x
	}
	return n
}

// A meter is how much of something is in use.
type meter struct {
	Text    string
	Percent int // of the limit; -1: there is none
}

// meterOf is newMeter for a Use or a pointer to one, which is not nil.
func meterOf(u any, bytes bool) meter {
	if p, ok := u.(*Use); ok {
		return newMeter(*p, bytes)
	}
	return newMeter(u.(Use), bytes)
}

func newMeter(u Use, bytes bool) meter {
	format := func(n int64) string {
		if bytes {
			return size(n)
		}
		return strconv.FormatInt(n, 10)
	}
	if u.Limit <= 0 {
		return meter{format(u.Used), -1}
	}
	return meter{format(u.Used) + " of " + format(u.Limit), int(100 * float64(u.Used) / float64(u.Limit))}
}

// measured is newMeter for what is never 0: where the system tells nothing it is unknown.
func measured(u Use, bytes bool) meter {
	if u.Used <= 0 {
		return meter{"–", -1}
	}
	return newMeter(u, bytes)
}

// chart draws a figure of each Rate over the last ten minutes.
func chart(rates []Rate, what string) template.HTML {
	const width, height = 600, 60
	value := func(r Rate) float64 {
		n := max(r.Seconds, 0.001)
		switch what {
		case "requests":
			return float64(r.Requests) / n
		case "failures":
			return float64(r.Failures) / n
		case "waiting":
			return float64(r.Waiting)
		}
		return float64(r.InFlight)
	}
	top := 1.0
	for _, r := range rates {
		top = max(top, value(r))
	}
	var points strings.Builder
	for i, r := range rates {
		x := width - (len(rates)-1-i)*width/(maxRates-1)
		fmt.Fprintf(&points, "%d,%.1f ", x, height-value(r)/top*(height-2)-1)
	}
	last := 0.0
	if len(rates) > 0 {
		last = value(rates[len(rates)-1])
	}
	unit := ""
	if what == "requests" || what == "failures" {
		unit = "/s"
	}
	// There are only numbers of this program in it.
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s: %.4g%s now, %.4g%s at most"><polyline points="%s"/></svg>`+
		`<figcaption>%s: <b>%.4g%s</b>, at most %.4g%s</figcaption>`,
		width, height, what, last, unit, top, unit, points.String(), chartTitles[what], last, unit, top, unit))
}

var chartTitles = map[string]string{"requests": "requests", "failures": "failures", "inflight": "in flight", "waiting": "waiting"}
