package conform

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// limit is what a check has that must fail. A test that sees something else tries again
// with longer ones, up to testkit.Patience: the machine may be slow.
const limit = 500 * time.Millisecond

// failed returns the ids of the clauses that failed.
func (r *Report) failed() (ids []string) {
	for _, res := range r.Results {
		if res.Outcome == Fail {
			ids = append(ids, res.ID)
		}
	}
	return ids
}

// explain returns what was seen by the clauses of an outcome.
func (r *Report) explain(o Outcome) string {
	var b strings.Builder
	for _, res := range r.Results {
		if res.Outcome == o {
			b.WriteString("\n" + res.ID + ": " + res.Seen)
		}
	}
	return b.String()
}

// mutations says which clauses an endpoint breaks.
var mutations = []struct{ mutation, ids string }{
	{"", ""},
	{"no multiplexing", ""},
	{"long response", ""},
	{"stderr", ""},
	{"padding", "F1a"},
	{"reserved", "F1b"},
	{"version", "F1c F1d"},
	{"other types", "F2a"},
	{"flags", "F2b"},
	{"zero", "F3a"},
	{"management id", "F3b"},
	{"inactive", "F3b F4 F8 F16b F19c"},
	{"begin twice", "F5"},
	{"short begin", "F6a"},
	{"long begin", "F6b"},
	{"params by record", "F7a F9d F9e"},
	{"stdin by record", "F7b"},
	{"late", "F8"},
	{"four bytes", "F9a"},
	{"long names", "F9b"},
	{"empty values", "F9c"},
	{"cut pairs", "F9d F9e"},
	{"duplicates", "F10"},
	{"early", "F11"},
	{"short stdin", "F12a"},
	{"long stdin", "F12b C1"},
	{"values silent", "F13a F13b F13c F13e"},
	{"values all", "F13b F13c"},
	{"values close", "F13d F13e"},
	{"values within", "F13e"},
	{"unknown silent", "F14a"},
	{"unknown body", "F14a"},
	{"unknown close", "F14b"},
	{"unknown application", "F15"},
	{"any role", "F16a"},
	{"role close", "F16b"},
	{"role open", "F16c"},
	{"second ignored", "F17 F24a F24b F24c"},
	{"multiplexing claimed", "F24a F24b F24c"},
	{"stall", "F24b F24c"},
	{"abort silent", "F19a F19d"},
	{"abort twice", "F19a F19b"},
	{"abort id", "F19b"},
	{"abort unknown", "F19c"},
	{"abort early", "F19d"},
	{"no end", "F20a"},
	{"short end", "F20a"},
	{"end twice", "F8 F20b F22b"},
	{"stdout open", "F21a"},
	{"stderr open", "F21b"},
	{"empty first", "F21a P3"},
	{"never closes", "F22a"},
	{"never keeps", "F8 F17 F22b F24a F24b F24c P1b P7"},
	{"crash", "F25 P16"},
	{"nph", "F12b F28 P6 P7 P8 P14a P14b C1 C2 C3"},
	{"empty roles", "F29 F31"},
	{"always 1", "F17 F24a F24b F24c P1a P1b P7"},
	{"small ids", "P1a"},
	{"large bodies", "F24c P6 P7 P8"},
	{"small params", "P10"},
	{"empty name", "P11a"},
	{"equals", "P11b"},
	{"missing length", "P14a"},
	{"empty length", "P14b"},
	{"one worker", "P16"},
	{"negative length", "C2"},
	{"head", "C3"},
	{"nul", "C4"},
	{"other names", "C5"},
}

func TestMutations(t *testing.T) {
	// All at once, since most of the time is spent waiting.
	var tests sync.WaitGroup
	for _, tt := range mutations {
		tests.Go(func() {
			want := strings.Fields(tt.ids)
			for limit := limit; ; limit *= 4 {
				r := runMutation(t.Context(), serveBroken(t, tt.mutation), tt.mutation, want, limit)
				got := r.failed()
				if slices.Equal(got, want) {
					return
				}
				if limit > testkit.Patience {
					t.Errorf("%s: failed: %v, want %v%s", tt.mutation, got, want, r.explain(Fail))
					return
				}
			}
		})
	}
	tests.Wait()
}

// runMutation is Run with limits for what must hold and what must fail.
func runMutation(ctx context.Context, target Target, mutation string, ids []string, limit time.Duration) *Report {
	target.Quiet = limit / 25
	failing := target
	failing.Timeout = limit
	if mutation == "early" {
		failing.Quiet = limit / 2 // what must not come is given time to
	}
	first := target
	if mutation == "values silent" || mutation == "no end" {
		first.Timeout = 2 * limit
	}
	base := first.baseline(ctx)
	r := new(Report)
	for i := range clauses {
		t := &target
		if slices.ContainsFunc(ids, func(id string) bool { return family(id) == family(clauses[i].id) }) {
			t = &failing // or it waits for what is broken, and is not applicable
		}
		r.add(t.check(ctx, &clauses[i], base))
	}
	return r
}

// family returns F1 of F1a.
func family(id string) string { return strings.TrimRight(id, "abcde") }

// Every clause that has a check is failed by some mutation.
func TestEveryCheckFails(t *testing.T) {
	var broken []string
	for _, tt := range mutations {
		broken = append(broken, strings.Fields(tt.ids)...)
	}
	seen := make(map[string]bool)
	for _, c := range clauses {
		if seen[c.id] {
			t.Errorf("%s is there twice", c.id)
		}
		seen[c.id] = true
		if (c.check == nil) != (c.unseen != "") {
			t.Errorf("%s has a check or a reason for none, not both", c.id)
		}
		// No endpoint can break F23: a length has 16 bits.
		if c.check != nil && c.id != "F23" && !slices.Contains(broken, c.id) {
			t.Errorf("no mutation breaks %s", c.id)
		}
	}
}
