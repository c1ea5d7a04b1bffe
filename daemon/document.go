package daemon

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A document is a TOML file: its values, and the place of each key.
type document struct {
	file   string
	values map[string]any
	places map[string]place // by the path of the key, such as "app.1.env.PATH"
}

type place struct{ line, column int }

// A ConfigError says what is wrong with a configuration, and where.
type ConfigError struct {
	File         string
	Line, Column int // counted from 1; 0 for the file as a whole
	Err          error
}

func (e *ConfigError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d:%d: %v", e.File, e.Line, e.Column, e.Err)
}

func (e *ConfigError) Unwrap() error { return e.Err }

// parseDocument parses TOML. The name of the file is used only in messages.
func parseDocument(file string, data []byte) (*document, error) {
	d := &document{file: file, places: make(map[string]place)}
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(data, []byte(mark)) {
			return nil, &ConfigError{file, 1, 1, errors.New("the file begins with a byte order mark: save it as UTF-8 without one")}
		}
	}
	if err := toml.Unmarshal(data, &d.values); err != nil {
		var de *toml.DecodeError
		if !errors.As(err, &de) {
			return nil, &ConfigError{File: file, Err: err}
		}
		line, column := de.Position()
		if message, at := unquoted(lineAt(data, line)); message != "" {
			return nil, &ConfigError{file, line, at, errors.New(message)}
		}
		return nil, &ConfigError{file, line, column, errors.New(strings.TrimPrefix(de.Error(), "toml: "))}
	}
	d.locate(data)
	return d, nil
}

// locate records the places of all keys. The document is known to be valid.
func (d *document) locate(data []byte) {
	var p unstable.Parser
	p.Reset(data)
	var table string
	count := make(map[string]int) // elements of arrays of tables
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			table = d.mark(&p, "", e.Key(), count)
		case unstable.ArrayTable:
			name := d.mark(&p, "", e.Key(), count)
			table = name + "." + strconv.Itoa(count[name])
			for it := e.Key(); it.Next(); { // the last part is the element's own name
				start := p.Shape(it.Node().Raw).Start
				d.places[table] = place{start.Line, start.Column}
			}
			count[name]++
		case unstable.KeyValue:
			d.markValue(&p, table, e)
		}
	}
}

// markValue records the place of a key, and of the keys in an inline table.
func (d *document) markValue(p *unstable.Parser, table string, e *unstable.Node) {
	path := d.mark(p, table, e.Key(), nil)
	value := e.Value()
	if value.Kind != unstable.InlineTable {
		return
	}
	for it := value.Children(); it.Next(); {
		if n := it.Node(); n.Kind == unstable.KeyValue {
			d.markValue(p, path, n)
		}
	}
}

// mark records the place of a dotted key and returns its path. The name of an array of
// tables means its last element.
func (d *document) mark(p *unstable.Parser, table string, key unstable.Iterator, count map[string]int) string {
	path := table
	for key.Next() {
		n := key.Node()
		path = join(path, string(n.Data))
		start := p.Shape(n.Raw).Start
		if _, known := d.places[path]; !known {
			d.places[path] = place{start.Line, start.Column}
		}
		if c := count[path]; c > 0 && !key.IsLast() {
			path += "." + strconv.Itoa(c-1)
		}
	}
	return path
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}

// errorf returns an error about the key at path.
func (d *document) errorf(path string, format string, args ...any) error {
	at := d.places[path]
	return &ConfigError{d.file, at.line, at.column, fmt.Errorf(format, args...)}
}

// sort sorts keys of the top level by their place in the file.
func (d *document) sort(keys []string) {
	slices.SortFunc(keys, func(a, b string) int {
		x, y := d.places[a], d.places[b]
		return cmp.Or(cmp.Compare(x.line, y.line), cmp.Compare(x.column, y.column))
	})
}

// A table is a table of a document whose keys are looked up one by one.
type table struct {
	doc    *document
	path   string
	values map[string]any
	known  []string
	errs   []error
}

// place returns the place of a key for messages, or of the table if it has no such key.
func (t *table) place(key string) string {
	at, given := t.doc.places[join(t.path, key)]
	if !given {
		at = t.doc.places[t.path]
	}
	return fmt.Sprintf("%s:%d:%d", t.doc.file, at.line, at.column)
}

func (t *table) lookup(key string) (any, bool) {
	t.known = append(t.known, key)
	v, ok := t.values[key]
	return v, ok
}

// set sets those of the keys that the table has, and reports whether it has any.
func (t *table) set(rows ...Key) (given bool) {
	for _, row := range rows {
		if v, ok := t.lookup(row.Name); ok {
			row.set(t, row.Name, v)
			given = true
		}
	}
	return given
}

func (t *table) fail(key string, err error) {
	t.errs = append(t.errs, t.doc.errorf(join(t.path, key), "%s: %w", key, err))
}

// finish returns the errors of the table, including one for each unknown key.
func (t *table) finish() []error {
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		if slices.Contains(t.known, key) {
			continue
		}
		t.errs = append(t.errs, t.doc.errorf(join(t.path, key), "unknown key %q: %s", key, t.hint(key)))
	}
	return t.errs
}

// hint says what to write instead of an unknown key.
func (t *table) hint(key string) string {
	if _, isTable := t.values[key].(map[string]any); isTable && key == "limits" {
		if t.path == "" {
			return "limits have no table: write them at the top level, above the first [[app]]"
		}
		return "limits have no table: write them among the keys of the [[app]]"
	}
	if t.path != "" && slices.ContainsFunc(LimitTable(), func(l Limit) bool { return l.Key == key }) {
		return "this limit is global: write it at the top level, above the first [[app]]"
	}
	if t.path != "" && slices.ContainsFunc(KeyTable(), func(k Key) bool { return k.Name == key && !k.PerApp }) {
		return "this key is global: write it at the top level, above the first [[app]]"
	}
	if hint := Suggest(key, t.known); hint != "" {
		return hint
	}
	return "the keys here are " + strings.Join(slices.Sorted(slices.Values(t.known)), ", ")
}

// sortByPlace sorts errors by their place in the file.
func sortByPlace(errs []error) {
	slices.SortStableFunc(errs, func(a, b error) int {
		var x, y *ConfigError
		if !errors.As(a, &x) || !errors.As(b, &y) {
			return 0
		}
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
}
