package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"gatehouse/cgi"
)

// maxAccessFormat bounds access_log_format, in bytes.
const maxAccessFormat = 4 << 10

// accessFormats are the formats that have a name.
var accessFormats = []struct{ name, template string }{
	{"common", `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent id=$request_id time=$request_time end=$end`},
	{"combined", `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"`},
	{"json", recordJSON},
}

// What the access log has where the log goes: lines of the log, in its form.
const (
	recordJSON = `{"time":"$end_iso8601","level":"INFO","msg":"access","request":"$request_id","client":"$remote_addr","user":"$remote_user",` +
		`"method":"$request_method","uri":"$request_uri","protocol":"$server_protocol","host":"$host","referer":"$http_referer","user_agent":"$http_user_agent",` +
		`"application":"$application","program":"$program","pid":$pid,"status":$status,"end":"$end","check":"$check","bytes_in":$request_body_bytes,"bytes":$body_bytes_sent,` +
		`"queued":$queue_time,"first_byte":$first_byte_time,"seconds":$request_time,"exit":$exit,"signal":"$signal","cpu":$cpu_time,"peak_memory":$peak_memory,` +
		`"trace_id":"$trace_id","span_id":"$span_id"}`
	recordText = `time=$end_iso8601 level=INFO msg=access request=$request_id client=$remote_addr user="$remote_user" method=$request_method ` +
		`uri="$request_uri" application="$application" program="$program" status=$status end=$end bytes=$body_bytes_sent seconds=$request_time`
)

// An accessFormat writes lines of the access log. It is made once, and does not allocate after that.
type accessFormat struct {
	json  bool // an object; see ParseAccessFormat
	parts []accessPart
}

// An accessPart is a field with the text before it; the last part has no field.
type accessPart struct {
	before string
	field  AccessField
	quoted bool // in JSON: in quotes
	end    byte // in text: what follows the field and so ends it
}

// checkAccessFormat returns what is wrong with a value of access_log_format.
func checkAccessFormat(s string) error {
	_, err := parseAccessFormat(s)
	return err
}

// parseAccessFormat parses the name of a format, or a template. One that begins with "{" is an
// object of JSON, and the values are escaped as JSON has it.
func parseAccessFormat(s string) (*accessFormat, error) {
	for _, f := range accessFormats {
		if s == f.name {
			s = f.template
		}
	}
	switch {
	case !strings.Contains(s, "$"):
		return nil, fmt.Errorf("%q is no format: write common, combined, json, or a template with fields, such as '$remote_addr \"$request\" $status'", s)
	case len(s) > maxAccessFormat:
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(s), maxAccessFormat)
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return nil, errors.New("it has a line end or another control character: a request has one line")
	}
	f := &accessFormat{json: strings.HasPrefix(s, "{")}
	if err := f.parse(s); err != nil {
		return nil, err
	}
	if f.json {
		if line := f.append(nil, &cgi.Request{Env: new(cgi.Environ)}, &cgi.Result{}); !json.Valid(line) {
			return nil, fmt.Errorf("it begins with \"{\", but does not make JSON: a request would have the line %s", line)
		}
	}
	return f, nil
}

// parse appends the parts of a template.
func (f *accessFormat) parse(s string) error {
	before, quoted := "", false
	for {
		text, rest, found := strings.Cut(s, "$")
		before += text
		quoted = quoted != (strings.Count(strings.ReplaceAll(text, `\"`, ""), `"`)%2 == 1)
		if !found {
			f.parts = append(f.parts, accessPart{before: before})
			return nil
		}
		name, rest, err := cutFieldName(rest)
		if err != nil {
			return err
		}
		if name == "request" {
			s = "${request_method} ${request_uri} ${server_protocol}" + rest
			continue
		}
		p := accessPart{before: before, quoted: quoted}
		if p.field, err = accessField(name); err != nil {
			return err
		}
		if f.json && !quoted && p.field.number == nil {
			return fmt.Errorf(`$%s is text: write it in quotes: "$%[1]s"`, name)
		}
		if rest != "" {
			p.end = rest[0]
		}
		f.parts = append(f.parts, p)
		before, s = "", rest
	}
}

// cutFieldName cuts the name of a field, which may be in braces, off what follows a "$".
func cutFieldName(s string) (name, rest string, err error) {
	if inner, ok := strings.CutPrefix(s, "{"); ok {
		name, rest, ok = strings.Cut(inner, "}")
		if !ok {
			return "", "", fmt.Errorf("${%.40s has no closing brace", inner)
		}
		return name, rest, nil
	}
	n := strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if n < 0 {
		n = len(s)
	}
	if n == 0 {
		return "", "", errors.New(`"$" without the name of a field behind it`)
	}
	return s[:n], s[n:], nil
}

func accessField(name string) (AccessField, error) {
	var names []string
	for _, field := range AccessFields() {
		if field.Name == name {
			return field, nil
		}
		names = append(names, field.Name)
	}
	if isHeaderField(name) {
		return headerField(name), nil
	}
	hint := Suggest(name, names)
	if hint == "" {
		hint = "there are $" + strings.Join(names, ", $") + " and $http_NAME for a header field"
	}
	return AccessField{}, fmt.Errorf("unknown field $%s: %s", name, hint)
}

// append appends the line of a request, without its end.
func (f *accessFormat) append(b []byte, r *cgi.Request, res *cgi.Result) []byte {
	for i := range f.parts {
		p := &f.parts[i]
		b = append(b, p.before...)
		start := len(b)
		switch {
		case p.field.text != nil && f.json:
			b = appendJSON(b, p.field.text(r, res))
		case p.field.text != nil:
			b = appendLogged(b, p.field.text(r, res), p.end)
		case p.field.plain != nil:
			b = p.field.plain(b, r, res)
		case p.field.number != nil:
			b = p.field.number(b, r, res)
		}
		switch {
		case p.field.Name == "" || len(b) > start || f.json && p.quoted:
		case f.json:
			b = append(b, "null"...)
		default:
			b = append(b, '-')
		}
	}
	return b
}

// appendLogged appends a value from a client, or nothing. Quotes, backslashes, bytes other than
// printable ASCII, and the byte end, which ends the value, are written as \xNN, as nginx does,
// so that no client can forge a line or a field.
func appendLogged(b []byte, s string, end byte) []byte {
	cut := len(s) > maxLogged
	if cut {
		s = s[:maxLogged]
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == end {
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
			continue
		}
		b = append(b, c)
	}
	if cut {
		b = append(b, "..."...)
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendJSON appends a value from a client as it is written between quotes in JSON. What is not
// UTF-8 becomes U+FFFD.
func appendJSON(b []byte, s string) []byte {
	cut := len(s) > maxLogged
	if cut {
		s = s[:maxLogged]
		for i := 0; i < utf8.UTFMax-1 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]); i++ {
			s = s[:len(s)-1]
		}
	}
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c < ' ' || c == 0x7f:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, `\ufffd`...)
		case r == '\u2028' || r == '\u2029': // line ends to some readers
			b = append(b, `\u202`...)
			b = append(b, hexDigits[r&15])
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	if cut {
		b = append(b, "..."...)
	}
	return b
}
