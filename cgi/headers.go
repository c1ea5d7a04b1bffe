package cgi

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"gatehouse/cgi/internal/syntax"
)

// Headers is a list of header fields: ordered, with names compared in any case,
// and with as many fields of one name as there are. It is wsgiref.headers.Headers.
//
// All fields are checked by the rules of a response: names are tokens (RFC 9110 § 5.6.2) and
// not Status, values hold no control character but HTAB; spaces and tabs around a value are
// cut. A method that returns an error (a [FieldError]) has changed nothing. The zero value
// is empty and ready to use.
type Headers struct {
	fields []Field
}

// A Param is a parameter of a header field, as in
//
//	Content-Disposition: attachment; filename="bud.gif"
//
// The name is a token (RFC 9110 § 5.6.6), so that nothing in it can start another
// parameter; an underscore in it is written as a hyphen. The value is always quoted.
// A parameter without a value is its name alone.
type Param struct {
	Name, Value string
}

// NewHeaders returns Headers that hold a copy of the fields.
func NewHeaders(fields ...Field) (*Headers, error) {
	h := &Headers{fields: make([]Field, 0, len(fields))}
	for _, f := range fields {
		if err := h.Add(f.Name, f.Value); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// checkedField returns the field ready to keep.
func checkedField(name, value string) (Field, error) {
	f := Field{name, strings.Trim(value, " \t")}
	return f, checkField(&f)
}

// sameName compares the name of a field that is kept, which is ASCII, with any
// other. Of the same length, no letter outside ASCII can pass for one inside it, as
// the Kelvin sign would for k.
func sameName(kept, name string) bool {
	return len(kept) == len(name) && strings.EqualFold(kept, name)
}

// Get returns the value of the first field of that name, or "" if there is none.
func (h *Headers) Get(name string) string {
	v, _ := h.Lookup(name)
	return v
}

// Lookup returns the value of the first field of that name, and whether there is
// one.
func (h *Headers) Lookup(name string) (string, bool) {
	for _, f := range h.fields {
		if sameName(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

// Has reports whether there is a field of that name. One with an empty value
// counts.
func (h *Headers) Has(name string) bool {
	_, ok := h.Lookup(name)
	return ok
}

// Values returns the values of all fields of that name, in order.
func (h *Headers) Values(name string) []string {
	var values []string
	for _, f := range h.fields {
		if sameName(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Set removes all fields of that name and adds one at the end, spelled as given.
func (h *Headers) Set(name, value string) error {
	f, err := checkedField(name, value)
	if err != nil {
		return err
	}
	h.Del(name)
	h.fields = append(h.fields, f)
	return nil
}

// SetDefault adds a field unless there is one of that name, and returns the value
// of the first.
func (h *Headers) SetDefault(name, value string) (string, error) {
	if v, ok := h.Lookup(name); ok {
		return v, nil
	}
	if err := h.Add(name, value); err != nil {
		return "", err
	}
	return h.fields[len(h.fields)-1].Value, nil
}

// Del removes all fields of that name.
func (h *Headers) Del(name string) {
	kept := h.fields[:0]
	for _, f := range h.fields {
		if !sameName(f.Name, name) {
			kept = append(kept, f)
		}
	}
	clear(h.fields[len(kept):])
	h.fields = kept
}

// Add adds a field at the end, with its parameters, joined by "; ".
func (h *Headers) Add(name, value string, params ...Param) error {
	if len(params) == 0 {
		return h.add(name, value)
	}
	joined, err := joinParams(name, params)
	if err != nil {
		return err
	}
	return h.add(name, value+"; "+joined)
}

// AddParams adds a field that consists of parameters alone: add_header with None as
// the value. Without any, the value is empty.
func (h *Headers) AddParams(name string, params ...Param) error {
	joined, err := joinParams(name, params)
	if err != nil {
		return err
	}
	return h.add(name, joined)
}

func (h *Headers) add(name, value string) error {
	f, err := checkedField(name, value)
	if err != nil {
		return err
	}
	h.fields = append(h.fields, f)
	return nil
}

var quoteParam = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// joinParams returns the text of a field's parameters. Their values are checked with
// the field's.
func joinParams(field string, params []Param) (string, error) {
	var b strings.Builder
	for i, p := range params {
		if p.Name == "" {
			return "", &FieldError{field, "a parameter has no name"}
		}
		for j := 0; j < len(p.Name); j++ {
			if !syntax.IsTokenByte(p.Name[j]) {
				return "", &FieldError{field, fmt.Sprintf("byte %#02x at offset %d of the parameter name %.80q is not allowed", p.Name[j], j, p.Name)}
			}
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(strings.ReplaceAll(p.Name, "_", "-"))
		if p.Value != "" {
			b.WriteString(`="`)
			quoteParam.WriteString(&b, p.Value)
			b.WriteByte('"')
		}
	}
	return b.String(), nil
}

// Len returns the number of fields.
func (h *Headers) Len() int { return len(h.fields) }

// All yields the fields in order. The Headers must not be changed meanwhile.
func (h *Headers) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, f := range h.fields {
			if !yield(f.Name, f.Value) {
				return
			}
		}
	}
}

// Names returns the names of all fields, in order.
func (h *Headers) Names() []string {
	names := make([]string, len(h.fields))
	for i, f := range h.fields {
		names[i] = f.Name
	}
	return names
}

// Fields returns a copy of the fields, for [ResponseWriter.StartResponse].
func (h *Headers) Fields() []Field { return append([]Field(nil), h.fields...) }

// Bytes returns the fields as lines that end in CR LF, and an empty line.
func (h *Headers) Bytes() []byte { return appendFields(nil, h.fields) }

// String returns what Bytes does.
func (h *Headers) String() string { return string(h.Bytes()) }

// WriteTo writes what Bytes returns.
func (h *Headers) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(h.Bytes())
	return int64(n), err
}
