package daemon

// A Key is a row of the table of keys: a key of the configuration that is no limit.
// The parser, the manual and what messages say of keys come from these rows.
type Key struct {
	Name    string
	Example string // a value, as TOML has it
	Text    string // what it says, in one line
	PerApp  bool   // it stands in an [[app]]

	set setter

	// In an application of another kind a key is an error, unless its value is harmless:
	// it says what holds there, too. together names the keys that the message is about; if
	// empty, that is this one.
	harmless func(value any) bool
	together string
}

// KeyTable returns the keys of the configuration beside those of [LimitTable],
// first those of the top level.
func KeyTable() []Key {
	table := new(Config).keys()
	perApp := new(App).keys()
	for _, k := range kinds() {
		perApp = append(perApp, k.keys()...)
	}
	seen := make(map[string]bool) // several kinds may have a key
	for _, row := range perApp {
		if !seen[row.Name] {
			seen[row.Name] = true
			row.PerApp = true
			table = append(table, row)
		}
	}
	return table
}

// harmless values.

func isFalse(v any) bool { return v == false }

func isText(s string) func(any) bool { return func(v any) bool { return v == s } }

// isEmpty is for lists and tables.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
