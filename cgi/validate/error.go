package validate

import "fmt"

// An Error says which rule was broken, by whom and how. The package comment lists
// the rules.
type Error struct {
	Rule string // "V12"
	Msg  string

	// err is what the method would have returned without validation, so that an
	// application that distinguishes errors behaves as it would without a validator; or nil.
	err error
}

func (e *Error) Error() string { return "validate: " + e.Rule + ": " + e.Msg }

// Unwrap returns the error of package cgi that stands for the same mistake, such
// as cgi.ErrNoStart, or nil.
func (e *Error) Unwrap() error { return e.err }

// A Warning reports what is legal but seldom intended.
type Warning struct {
	Rule string // "V5"
	Msg  string
}

func (w *Warning) String() string { return "validate: warning " + w.Rule + ": " + w.Msg }

// broken makes the Error of a rule.
func broken(rule, format string, args ...any) *Error {
	return &Error{Rule: rule, Msg: fmt.Sprintf(format, args...)}
}

// A warner takes the warnings of one request.
type warner func(rule, format string, args ...any)
