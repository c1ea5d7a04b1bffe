package daemon

// A Key is a row of the table of keys: a key of the configuration that is not a limit.
// The parser, the manual and the messages about keys are made from these rows.
type Key struct {
	Name    string
	Example string // a value in TOML
	Text    string // its meaning, in one line
	PerApp  bool   // it belongs in an [[app]]

	set setter

	// In an application of another kind a key is an error. If mild is true, it may have
	// the harmless value there, or an empty list or table. together lists the keys that
	// the message names; if empty, it names this one.
	mild     bool
	harmless any
	together string
}

func row(name, example, text string, set setter) Key {
	return Key{Name: name, Example: example, Text: text, set: set}
}

// unless makes a key mild.
func (k Key) unless(harmless any, together string) Key {
	k.mild, k.harmless, k.together = true, harmless, together
	return k
}

// mayHave reports whether the key may have a value in an application of another kind.
func (k Key) mayHave(value any) bool {
	switch v := value.(type) {
	case []any:
		return k.mild && len(v) == 0
	case map[string]any:
		return k.mild && len(v) == 0
	}
	return k.mild && value == k.harmless
}

// KeyTable returns the keys of the configuration other than those of [LimitTable],
// starting with those of the top level.
func KeyTable() []Key {
	table := new(Config).keys()
	perApp := new(App).keys()
	for _, k := range kinds() {
		perApp = append(perApp, k.keys()...)
	}
	seen := make(map[string]bool) // several kinds may have a key
	for _, k := range perApp {
		if !seen[k.Name] {
			k.PerApp, seen[k.Name] = true, true
			table = append(table, k)
		}
	}
	return table
}
