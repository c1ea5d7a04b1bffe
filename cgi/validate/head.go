package validate

import (
	"net/http"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/internal/syntax"
)

// checkHead checks the head of a response and returns its status code.
func checkHead(status string, headers []cgi.Field, warn warner) (code int, err *Error) {
	if code, err = checkStatus(status); err != nil {
		return 0, err
	}
	checkReason(status, warn)
	if err = checkFields(headers); err != nil {
		return 0, err
	}
	return code, checkContentType(code, headers)
}

// V18: the first word of the status is a code of three digits, 100 or more.
func checkStatus(status string) (code int, err *Error) {
	word := ""
	if words := strings.Fields(status); len(words) > 0 {
		word = words[0]
	}
	switch {
	case len(word) != 3:
		return 0, broken("V18", "status %.80q: its code must be three characters", status)
	case !syntax.IsDigit(word[0]) || !syntax.IsDigit(word[1]) || !syntax.IsDigit(word[2]):
		return 0, broken("V18", "status %.80q: its code must be three digits", status)
	case word[0] == '0':
		return 0, broken("V18", "status %.80q: its code must be 100 or more", status)
	}
	return int(word[0]-'0')*100 + int(word[1]-'0')*10 + int(word[2]-'0'), nil
}

// V19: a space separates the code and the reason phrase.
func checkReason(status string, warn warner) {
	if len(status) < 4 || status[3] != ' ' {
		warn("V19", "status %.80q: it should be three digits, a space and a reason phrase", status)
	}
}

// checkFields checks the fields one by one.
func checkFields(headers []cgi.Field) *Error {
	for _, f := range headers {
		for _, check := range [...]func(cgi.Field) *Error{
			checkNotStatus,
			checkNoColon,
			checkName,
			checkNameEnd,
			checkValue,
			checkHopByHop,
		} {
			if err := check(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// V23: the status is no field, as it is in the output of a CGI program.
func checkNotStatus(f cgi.Field) *Error {
	if strings.EqualFold(f.Name, "Status") {
		return broken("V23", "field %q with the value %.80q: the status is the first argument of StartResponse", f.Name, f.Value)
	}
	return nil
}

// V24: nothing in the name ends it.
func checkNoColon(f cgi.Field) *Error {
	if strings.ContainsAny(f.Name, "\n:") {
		return broken("V24", "field %.80q: its name holds a line feed or a colon", f.Name)
	}
	return nil
}

// V25: the name is made of letters, digits, "-" and "_", and begins with a letter.
func checkName(f cgi.Field) *Error {
	for i := 0; i < len(f.Name); i++ {
		if c := f.Name[i]; !isLetter(c) && (i == 0 || !syntax.IsDigit(c) && c != '-' && c != '_') {
			return broken("V25", "field %.80q: byte %#02x at offset %d of its name is not allowed there", f.Name, c, i)
		}
	}
	if f.Name == "" {
		return broken("V25", "field with the value %.80q: it has no name", f.Value)
	}
	return nil
}

// V26: the name does not end in a separator.
func checkNameEnd(f cgi.Field) *Error {
	if strings.HasSuffix(f.Name, "-") || strings.HasSuffix(f.Name, "_") {
		return broken("V26", `field %.80q: its name ends in "-" or "_"`, f.Name)
	}
	return nil
}

// V27: no control character is in the value; wsgiref does not count DEL.
func checkValue(f cgi.Field) *Error {
	for i := 0; i < len(f.Value); i++ {
		if f.Value[i] < 0x20 {
			return broken("V27", "field %.80q: control character %#02x at offset %d of its value", f.Name, f.Value[i], i)
		}
	}
	return nil
}

// V44: the connection is not the application's. The gateway would remove the field.
func checkHopByHop(f cgi.Field) *Error {
	if cgi.IsHopByHop(f.Name) || strings.EqualFold(f.Name, "Trailer") || strings.EqualFold(f.Name, "Proxy-Connection") {
		return broken("V44", "field %q: it concerns the connection, which is the gateway's", f.Name)
	}
	return nil
}

// checkContentType looks for the type of the body.
func checkContentType(code int, headers []cgi.Field) *Error {
	has := false
	for _, f := range headers {
		has = has || strings.EqualFold(f.Name, "Content-Type")
	}
	if isBodyless(code) {
		return checkNoType(code, has)
	}
	return checkType(code, has)
}

// V28: what has a body has a Content-Type.
func checkType(code int, has bool) *Error {
	if !has {
		return broken("V28", "the response with status %d has no Content-Type", code)
	}
	return nil
}

// V29: what has no body has none.
func checkNoType(code int, has bool) *Error {
	if has {
		return broken("V29", "the response with status %d has a Content-Type, but cannot have a body", code)
	}
	return nil
}

// isBodyless reports whether a response of that status has no body.
func isBodyless(code int) bool {
	return code == http.StatusNoContent || code == http.StatusNotModified
}

// declaredLength returns the Content-Length of a head that the gateway has accepted,
// or -1 if it has none.
func declaredLength(headers []cgi.Field) int64 {
	for _, f := range headers {
		if strings.EqualFold(f.Name, "Content-Length") {
			if n, ok := parseLength(strings.Trim(f.Value, " \t")); ok {
				return n
			}
		}
	}
	return -1
}
