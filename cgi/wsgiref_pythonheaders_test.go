//go:build linux

package cgi_test

import (
	"strings"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// fieldName returns one of a few names, so that some are met again.
func (m *maker) fieldName() string {
	if m.IntN(8) == 0 {
		return oneOf(m, "", "Status", "STATUS", "a b", "A:", "\xe4", "é", m.text(2, "A", "b", "\t", "\n", "\x7f"))
	}
	return oneOf(m, "A", "a", "B", "X-Long-Name", "x-LONG-name", "!#$%&'*+-.^_`|~9")
}

func (m *maker) fieldValue() string {
	return m.text(4, "", "v", "text/plain", " ", "\t", "\xe4", "é", ";", `"`, `\`, ": ", oneOf(m, "v", "v", "v", "\r\n", "\x00"))
}

// params returns parameters of different names, as keyword arguments are. Those
// that add_header itself has, self, _name and _value, do not come up.
func (m *maker) params() []cgi.Param {
	var params []cgi.Param
	names := []string{"filename", "file_name", "_x", "a-b", "*"}
	if m.IntN(6) == 0 {
		names = append(names, "", "a b", "a=", `a"`, "a;b", "é", "\xe4", "a\n", "a\t")
	}
	m.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:m.IntN(4)] {
		params = append(params, cgi.Param{Name: name, Value: m.fieldValue()})
	}
	return params
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func hasControl(s string, allowed string) bool {
	return strings.ContainsFunc(testkit.Latin1(s), func(r rune) bool { return (r < ' ' || r == 0x7f) && !strings.ContainsRune(allowed, r) })
}

// refusals returns the differences for which ours refuses a field.
func refusals(name, value string, params []cgi.Param) (why []string) {
	if !isToken(name) {
		why = append(why, differsFieldName)
	}
	if strings.ToLower(name) == "status" {
		why = append(why, differsStatus)
	}
	control := hasControl(value, "\t")
	badParam := false
	for _, p := range params {
		control = control || hasControl(p.Value, "\t")
		badParam = badParam || !isToken(p.Name)
	}
	if control {
		why = append(why, differsValue)
	}
	if badParam {
		why = append(why, differsParamName)
	}
	return why
}

// trimmed returns the value that wsgiref has to be given, so that it keeps what ours
// does.
func (m *maker) trimmed(value string, params []cgi.Param) string {
	kept := strings.TrimLeft(value, " \t")
	if len(params) == 0 {
		kept = strings.TrimRight(kept, " \t")
	}
	if kept != value {
		m.differs[differsTrim]++
	}
	return testkit.Latin1(kept)
}

// makeHeaderList makes a sequence of method calls. A call that ours refuses, for a
// reason that is one of the differences, is not made of wsgiref: it must have changed
// nothing. Whatever wsgiref refuses, ours must, as the call is made.
func makeHeaderList(m *maker) (pythonQuestion, any) {
	fields := [][2]string{}
	var h *cgi.Headers
	for h == nil {
		var given []cgi.Field
		fields = fields[:0]
		var why []string
		for range m.IntN(4) {
			f := cgi.Field{Name: m.fieldName(), Value: m.fieldValue()}
			given = append(given, f)
			fields = append(fields, [2]string{testkit.Latin1(f.Name), m.trimmed(f.Value, nil)})
			why = append(why, refusals(f.Name, f.Value, nil)...)
		}
		var err error
		h, err = cgi.NewHeaders(given...)
		m.checkRefusal(err, why, "NewHeaders(%q)", given)
	}
	steps, answers := [][]any{}, []any{}
	took := func(answer any, step ...any) {
		steps, answers = append(steps, step), append(answers, answer)
	}
	for range m.IntN(12) {
		name, value, params := m.fieldName(), m.fieldValue(), m.params()
		switch m.IntN(11) {
		case 0:
			took(h.Len(), "len")
		case 1:
			took(latin1All(h.Names()), "keys")
		case 2:
			items := [][2]string{}
			for n, v := range h.All() {
				items = append(items, [2]string{testkit.Latin1(n), testkit.Latin1(v)})
			}
			took(items, "items")
		case 3, 4:
			if hasControl(name, "") {
				m.differs[differsLookup]++
				before := h.String()
				h.Del(name)
				if _, ok := h.Lookup(name); ok || h.Has(name) || h.Get(name) != "" || h.Values(name) != nil || h.String() != before {
					m.t.Errorf("%q is found in %q", name, before)
				}
				continue
			}
			var got any
			if v, ok := h.Lookup(name); ok {
				got = testkit.Latin1(v)
			}
			took(got, "get", testkit.Latin1(name))
			took(h.Has(name), "in", testkit.Latin1(name))
			took(latin1All(h.Values(name)), "get_all", testkit.Latin1(name))
		case 5:
			if !hasControl(name, "") {
				h.Del(name)
				took(nil, "del", testkit.Latin1(name))
			}
		case 6:
			if err := h.Set(name, value); !m.checkRefusal(err, refusals(name, value, nil), "Set(%q, %q)", name, value) {
				took(nil, "set", testkit.Latin1(name), m.trimmed(value, nil))
			}
		case 7:
			why := refusals(name, value, nil)
			there := h.Has(name)
			if there {
				why = nil // nothing is added
			}
			v, err := h.SetDefault(name, value)
			if !m.checkRefusal(err, why, "SetDefault(%q, %q)", name, value) {
				took(testkit.Latin1(v), "setdefault", testkit.Latin1(name), m.trimmed(value, nil))
			}
		case 8, 9:
			if err := h.Add(name, value, params...); !m.checkRefusal(err, refusals(name, value, params), "Add(%q, %q, %q)", name, value, params) {
				took(nil, "add_header", testkit.Latin1(name), m.trimmed(value, params), m.keywords(params))
			}
		case 10:
			if err := h.AddParams(name, params...); !m.checkRefusal(err, refusals(name, "", params), "AddParams(%q, %q)", name, params) {
				took(nil, "add_header", testkit.Latin1(name), nil, m.keywords(params))
			}
		}
	}
	return pythonQuestion{"fields": fields, "steps": steps}, map[string]any{"answers": answers, "str": testkit.Latin1(h.String())}
}

// checkRefusal checks that there is an error exactly where a difference gives the
// reason, and reports whether there is.
func (m *maker) checkRefusal(err error, why []string, call string, args ...any) bool {
	for _, d := range why {
		m.differs[d]++
	}
	if (err != nil) != (len(why) > 0) {
		m.t.Errorf(call+": error %v, want one for %q", append(args, err, why)...)
	}
	return err != nil
}

// keywords returns parameters as pairs. A parameter without a value is None or "".
func (m *maker) keywords(params []cgi.Param) [][2]any {
	pairs := [][2]any{}
	for _, p := range params {
		pair := [2]any{testkit.Latin1(p.Name), testkit.Latin1(p.Value)}
		if p.Value == "" && m.IntN(2) == 0 {
			pair[1] = nil
		}
		pairs = append(pairs, pair)
	}
	return pairs
}
