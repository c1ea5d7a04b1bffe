package daemon

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgihead"
	"gatehouse/cgi/script"
	"gatehouse/cgi/slow"

	"github.com/google/go-cmp/cmp"
)

// defaults returns the limits as the table's own defaults set them, where they are
// numbers.
func defaults(t *testing.T) Limits {
	t.Helper()
	var l Limits
	for _, row := range LimitTable() {
		switch row.Key {
		case "spool_dir", "programs":
			continue
		}
		if err := row.Set(&l, row.Default); err != nil {
			t.Errorf("%s: %v", row.Key, err)
		}
	}
	return l
}

// TestLimitTable compares the defaults of the table with those that hold.
func TestLimitTable(t *testing.T) {
	got := defaults(t)
	front := cgi.Limits{}.WithDefaults()
	front.Linger = 0
	front.BodyBytes = -1          // off
	front.Spool = got.Front.Spool // compared below
	front.ParamsTotal = nil       // likewise
	if d := cmp.Diff(front, got.Front); d != "" {
		t.Errorf("front-ends: -holds +table\n%s", d)
	}
	programs := script.Limits{Queue: 1024, QueueWait: 10 * time.Second, FirstByte: 60 * time.Second,
		Silence: 120 * time.Second, Run: -1, ProgramsPerScript: -1, ProgramsPerAddress: -1, CPU: -1, AddressSpace: -1, FileBytes: -1, OpenFiles: -1, Processes: -1, Grace: 3 * time.Second, HeadBytes: cgihead.DefaultLimit, StderrBytes: 64 << 10}
	if d := cmp.Diff(programs, got.Programs); d != "" {
		t.Errorf("programs: -holds +table\n%s", d)
	}
	spool := got.Spool.WithDefaults()
	if std := (Limits{}).Spool.WithDefaults(); spool != std {
		t.Errorf("spool: table %+v; holds %+v", spool, std)
	}
	if got.SpoolTotal != 8<<30 || got.Drain != defaultDrain {
		t.Errorf("spool_total %d, drain %v", got.SpoolTotal, got.Drain)
	}
	holds := new(Limits)
	holds.share(nil)
	if n := holds.Front.ParamsTotal.Max(); got.ParamsTotal != n {
		t.Errorf("params_total: table %d; holds %d", got.ParamsTotal, n)
	}
	if n := holds.Front.Spool.MemoryTotal.Max(); got.SpoolMemoryTotal != n {
		t.Errorf("spool_memory_total: table %d; holds %d", got.SpoolMemoryTotal, n)
	}
}

// pageRow is the line of docs/limits.md for a limit.
func pageRow(row Limit) string {
	where := ""
	if row.PerApp {
		where = "✓"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", row.Key, row.Default, where, row.Over)
}

// TestLimitsPage holds docs/limits.md to the table, and its examples to the rule.
func TestLimitsPage(t *testing.T) {
	b, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, row := range LimitTable() {
		if want := pageRow(row); !strings.Contains(page, want) {
			t.Errorf("the page has no line %q", want)
		}
	}
	for line := range strings.Lines(page) {
		if key, ok := strings.CutPrefix(line, "| `"); ok {
			key, _, _ = strings.Cut(key, "`")
			if !slices.ContainsFunc(LimitTable(), func(row Limit) bool { return row.Key == key }) {
				t.Errorf("the page has %q, which is no limit", key)
			}
		}
	}
	for connections, want := range map[int]string{0: "10,000", 500: "500"} {
		l := Limits{Front: cgi.Limits{Connections: connections}}
		want = fmt.Sprintf("| %s | %.1f GB |\n", want, l.MemoryBound(1, 8)/1e9)
		if !strings.Contains(page, want) {
			t.Errorf("the page has no line %q", want)
		}
	}
}

func TestLimitSet(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		key   string
		value any
		want  func(*Limits)
		err   string
	}{
		{"max_connections", int64(7), func(l *Limits) { l.Front.Connections = 7 }, ""},
		{"max_connections", "off", func(l *Limits) { l.Front.Connections = -1 }, ""},
		{"params_bytes", "64KiB", func(l *Limits) { l.Front.ParamsBytes = 64 << 10 }, ""},
		{"params_bytes", "8 GiB", func(l *Limits) { l.Front.ParamsBytes = math.MaxInt32 }, ""},
		{"body_bytes", int64(100), func(l *Limits) { l.Front.BodyBytes = 100 }, ""},
		{"body_bytes", "100B", func(l *Limits) { l.Front.BodyBytes = 100 }, ""},
		{"spool_total", "2TiB", func(l *Limits) { l.SpoolTotal = 2 << 40 }, ""},
		{"spool_dir", dir, func(l *Limits) { l.Spool.Dir = dir }, ""},
		{"run", "2m", func(l *Limits) { l.Programs.Run = 2 * time.Minute }, ""},
		{"drain", "off", func(l *Limits) { l.Drain = -1 }, ""},
		{"body_rate", int64(800), func(l *Limits) { l.Front.BodyRate = 800 }, ""},
		{"body_rate", int64(0), func(l *Limits) { l.Front.BodyRate = -1 }, ""},
		{"body_rate", "off", func(l *Limits) { l.Front.BodyRate = -1 }, ""},

		{"max_connections", "many", nil, `"many" is not a whole number up to 2147483647`},
		{"max_connections", 1.5, nil, `1.5 is not a whole number up to 2147483647`},
		{"max_connections", int64(0), nil, `0 is not more than zero: write a whole number, or "off" for no limit`},
		{"max_connections", int64(1) << 40, nil, `1099511627776 is not a whole number up to 2147483647`},
		{"params_bytes", "64k", nil, `"64k" is not a size, such as 65536, "64KiB" or "1GiB" (up to 8 EiB; the suffixes are KiB, MiB, GiB and TiB)`},
		{"params_bytes", "9000000TiB", nil, `"9000000TiB" is not a size, such as 65536, "64KiB" or "1GiB" (up to 8 EiB; the suffixes are KiB, MiB, GiB and TiB)`},
		{"params_bytes", true, nil, `true is not a size, such as 65536, "64KiB" or "1GiB"`},
		{"head_bytes", "off", nil, `"head_bytes" cannot be off: write a size, such as 65536, "64KiB" or "1GiB"`},
		{"grace", "0s", nil, `"0s" is not more than zero: write a time, such as "500ms", "60s" or "2m"`},
		{"drain", int64(30), nil, `30 is not a time, such as "500ms", "60s" or "2m": it needs a unit, in quotes`},
		{"drain", "30", nil, `"30" is not a time, such as "500ms", "60s" or "2m"`},
		{"drain", "-1s", nil, `"-1s" is not more than zero: write a time, such as "500ms", "60s" or "2m", or "off" for no limit`},
		{"spool_dir", dir + "/a/b", nil, "directory " + dir + "/a does not exist: create it, or write another one"},
		{"spool_dir", int64(1), nil, "1 is not the path of a directory"},
	}
	rows := make(map[string]Limit)
	for _, row := range LimitTable() {
		rows[row.Key] = row
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s=%v", tt.key, tt.value), func(t *testing.T) {
			var got, want Limits
			checkError(t, rows[tt.key].Set(&got, tt.value), tt.err)
			if tt.want != nil {
				tt.want(&want)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func TestSuggest(t *testing.T) {
	words := []string{"fastcgi", "scgi", "http", "access_log", "follow"}
	for word, want := range map[string]string{
		"fatscgi":    "fastcgi",
		"fastgci":    "fastcgi",
		"access-log": "access_log",
		"FOLOW":      "follow",
		"fcgi":       "fastcgi", // and not scgi, which is nearer
		"colour":     "",
		"x":          "",
	} {
		if want != "" {
			want = `did you mean "` + want + `"?`
		}
		if got := Suggest(word, words); got != want {
			t.Errorf("%s: got %q; want %q", word, got, want)
		}
	}
}

// TestSlow: slow is for all applications unless one has its own, and they are watched by it.
func TestSlow(t *testing.T) {
	c, err := ParseConfig("g.toml", []byte("slow = \"2s\"\n[[app]]\nprefix = \"/a\"\nhello = true\n"+
		"[[app]]\nprefix = \"/b\"\nhello = true\nslow = \"off\"\n[[app]]\nprefix = \"/c\"\nhello = true\nslow = \"5s\"\nslow_interval = \"1m\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	apps, closeApps, err := prepare(c.Apps, preparation{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeApps()
	m, err := mount(c.Apps, apps, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]slow.Limits)
	for _, w := range m.watches {
		got[w.Name] = w.Limits
	}
	want := map[string]slow.Limits{"/a": {After: 2 * time.Second}, "/c": {After: 5 * time.Second, Interval: time.Minute}}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
