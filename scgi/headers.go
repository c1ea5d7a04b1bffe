package scgi

import (
	"fmt"
	"strconv"
	"strings"

	"gatehouse/cgi"
)

// ParseHeaders adds the variables of a header block to env: name NUL value NUL
// for each. The values share the block's memory.
//
// Names must not be empty, values may be. Repeated names are resolved by
// [cgi.Environ.Add]. More than limit variables are ErrTooLarge. On an error env is
// left empty.
func ParseHeaders(env *cgi.Environ, block string, limit int) error {
	err := parseHeaders(env, block, limit)
	if err != nil {
		env.Reset()
	}
	return err
}

func parseHeaders(env *cgi.Environ, block string, limit int) error {
	if block != "" && block[len(block)-1] != 0 {
		return fmt.Errorf("%w: the header block does not end in a NUL byte", ErrMalformed)
	}
	for at, n := 0, 0; at < len(block); n++ {
		if n == limit {
			return fmt.Errorf("%w: more than %d variables", ErrTooLarge, limit)
		}
		p := cgi.Pair{Name: at, NameEnd: at + strings.IndexByte(block[at:], 0)}
		p.Value = p.NameEnd + 1
		length := strings.IndexByte(block[p.Value:], 0)
		if length < 0 {
			return fmt.Errorf("%w: the last variable, %.40q, has no value", ErrMalformed, block[at:p.NameEnd])
		}
		p.End = p.Value + length
		if err := env.AddPairs(block, p); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		at = p.End + 1
	}
	return nil
}

// checkHeaders checks what the protocol asks of the variables.
func checkHeaders(env *cgi.Environ) error {
	switch v, ok := env.Lookup("SCGI"); {
	case !ok:
		return fmt.Errorf("%w: the variable SCGI is missing: in nginx, write \"include scgi_params;\" beside scgi_pass", ErrMalformed)
	case v != "1":
		return fmt.Errorf("%w: the variable SCGI is %.20q, not 1", ErrMalformed, v)
	}
	return nil
}

// AppendHeaders appends a header block with the given length of the body as
// CONTENT_LENGTH, SCGI, and the variables of env but those two, in this order. A
// variable without a name, or with a NUL byte, is an error that wraps
// [cgi.ErrEmptyName] or [cgi.ErrNUL]; dst is then returned as it was.
func AppendHeaders(dst []byte, env *cgi.Environ, length int64) ([]byte, error) {
	b := append(dst, "CONTENT_LENGTH\x00"...)
	b = strconv.AppendInt(b, length, 10)
	b = append(b, "\x00SCGI\x001\x00"...)
	for name, value := range env.All() {
		switch {
		case name == "CONTENT_LENGTH" || name == "SCGI":
			continue
		case name == "":
			return dst, cgi.ErrEmptyName
		case strings.IndexByte(name, 0) >= 0 || strings.IndexByte(value, 0) >= 0:
			return dst, fmt.Errorf("%w: %q", cgi.ErrNUL, name)
		}
		b = append(append(b, name...), 0)
		b = append(append(b, value...), 0)
	}
	return b, nil
}
