package slow

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
)

const (
	maxGoroutines = 20000 // beyond which no stack is looked for
	maxCalls      = 40    // of a stack that are logged
)

// stackOf returns the calls of the goroutine that serves the request of this number, the
// innermost first, or why there are none.
func stackOf(number uint32) string {
	if n := runtime.NumGoroutine(); n > maxGoroutines {
		return fmt.Sprintf("not taken: the process has %d goroutines, more than %d", n, maxGoroutines)
	}
	f := finder{number: number}
	if err := pprof.Lookup("goroutine").WriteTo(&f, 1); err != nil {
		return "not taken: " + err.Error()
	}
	f.endRecord()
	if f.found == nil {
		return "not found: the request has ended, or the stack is too deep"
	}
	return strings.Join(f.found, "\n")
}

// A finder reads a goroutine profile as text. That has a record for each kind of stack, and in
// it a line for each call:
//
//	#	0x4a2b6c	main.handler+0x2c	/src/main.go:12
type finder struct {
	number uint32
	rest   []byte   // a line that has not ended
	calls  []string // of the record
	digits []byte   // of the number that the record spells, the last first
	inner  int      // calls inside of these
	found  []string
}

// Write implements io.Writer.
func (f *finder) Write(p []byte) (int, error) {
	n := len(p)
	for f.found == nil {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		if !whole {
			f.rest = append(f.rest, p...)
			break
		}
		if len(f.rest) > 0 {
			line = append(f.rest, line...)
			f.rest = f.rest[:0]
		}
		f.line(line)
		p = rest
	}
	return n, nil
}

func (f *finder) line(line []byte) {
	if len(line) == 0 || line[0] != '#' {
		f.endRecord()
		return
	}
	fields := strings.FieldsFunc(string(line), func(r rune) bool { return r == '\t' })
	if len(fields) < 4 || len(f.digits) == digits {
		return // labels, or what is outside of the number
	}
	name, _, _ := strings.Cut(strings.TrimSpace(fields[2]), "+0x")
	if name == nextName {
		return
	}
	if digit, ok := strings.CutPrefix(name, stepName); ok && len(digit) == 1 {
		if len(f.digits) == 0 {
			f.inner = len(f.calls)
		}
		f.digits = append(f.digits, digit[0])
		return
	}
	f.calls = append(f.calls, name+" "+strings.TrimSpace(fields[3]))
}

// endRecord comes after the last line of a record.
func (f *finder) endRecord() {
	if len(f.digits) == digits && spelled(f.digits) == f.number && f.found == nil {
		f.found = append([]string{}, f.calls[:f.inner]...)
		if n := len(f.found); n > maxCalls {
			f.found = append(f.found[:maxCalls:maxCalls], fmt.Sprintf("and %d more", n-maxCalls))
		}
	}
	f.calls, f.digits, f.inner = f.calls[:0], f.digits[:0], 0
}

// spelled returns the number of which these are the digits, the last first.
func spelled(d []byte) (n uint32) {
	for i := len(d) - 1; i >= 0; i-- {
		v, _ := strconv.ParseUint(string(d[i]), 16, 4)
		n = n<<4 | uint32(v)
	}
	return n
}
