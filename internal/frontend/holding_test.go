package frontend

import (
	"testing"

	"pgregory.net/rapid"

	"gatehouse/cgi/spool"
)

// TestHolding: what all connections hold beyond their own share is in the budget, to a step,
// and none of it once they have given it back.
func TestHolding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		budget := spool.NewBudget(20*holdingStep + 1)
		holdings := make([]Holding, 3)
		grown := make([][]int64, len(holdings))
		for i := range holdings {
			holdings[i].Budget = budget
		}
		pick := func(t *rapid.T) int { return rapid.IntRange(0, len(holdings)-1).Draw(t, "holding") }
		t.Repeat(map[string]func(*rapid.T){
			"grow": func(t *rapid.T) {
				i, n := pick(t), rapid.Int64Range(0, 2*FreeMemory).Draw(t, "n")
				before := holdings[i].held
				ok := holdings[i].Grow(n)
				if ok {
					grown[i] = append(grown[i], n)
				}
				if !ok && (before+n <= FreeMemory || holdings[i].held != before) {
					t.Fatalf("Grow(%d) from %d to %d: %v", n, before, holdings[i].held, ok)
				}
			},
			"shrink": func(t *rapid.T) {
				if i := pick(t); len(grown[i]) > 0 {
					last := len(grown[i]) - 1
					holdings[i].Shrink(grown[i][last])
					grown[i] = grown[i][:last]
				}
			},
			"close": func(t *rapid.T) {
				i := pick(t)
				holdings[i].Close()
				grown[i] = nil
			},
			"": func(t *rapid.T) {
				var least, most int64
				for i, h := range holdings {
					var sum int64
					for _, n := range grown[i] {
						sum += n
					}
					if over := max(0, sum-FreeMemory); over > 0 || h.taken > 0 {
						least, most = least+over, most+over+holdingStep
					}
				}
				if used := budget.Used(); used < least || used > most || used > budget.Max() {
					t.Fatalf("%d bytes are taken; want %d to %d", used, least, most)
				}
			},
		})
		for i := range holdings {
			holdings[i].Close()
		}
		if budget.Used() != 0 {
			t.Fatalf("%d bytes are left", budget.Used())
		}
	})
}
