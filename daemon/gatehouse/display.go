package main

import (
	"bytes"
	"io"
	"os"
)

// A display shows one text after the other: on a terminal each in the place of the one before,
// cut to its size, otherwise below each other.
type display struct {
	w        io.Writer
	terminal *os.File // nil: none
	entered  bool
}

func newDisplay(w io.Writer) *display {
	s := &display{w: w}
	if f, ok := w.(*os.File); ok {
		if _, _, err := terminalSize(f); err == nil {
			s.terminal = f
		}
	}
	return s
}

// What a terminal obeys (ECMA-48, and the alternate screen of xterm).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// show shows a text.
func (s *display) show(text []byte) error {
	if s.terminal == nil {
		_, err := s.w.Write(append(text, '\n'))
		return err
	}
	var b bytes.Buffer
	if !s.entered {
		s.entered = true
		b.WriteString(enterScreen)
	}
	b.WriteString(home)
	width, height, err := terminalSize(s.terminal)
	if err != nil {
		width, height = 80, 24
	}
	row := 0
	for line := range bytes.Lines(text) {
		if row++; row >= height {
			break
		}
		line = bytes.TrimRight(line, "\n")
		b.WriteString(cutTo(string(line), width))
		b.WriteString(clearLine + "\r\n")
	}
	b.WriteString(clearBelow)
	_, err = s.w.Write(b.Bytes())
	return err
}

// cutTo cuts a line to so many characters.
func cutTo(line string, width int) string {
	n := 0
	for i := range line {
		if n++; n > width {
			return line[:i]
		}
	}
	return line
}

// leave restores the terminal. It may be called again.
func (s *display) leave() {
	if s.entered {
		s.entered = false
		io.WriteString(s.w, leaveScreen)
	}
}
