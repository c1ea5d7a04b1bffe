package cgihead_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"gatehouse/cgi/cgihead"
)

// The response of a CGI program, as a gateway reads it.
func ExampleRead() {
	output := strings.NewReader("Location: /elsewhere\nContent-Type: text/plain\n\nIt has moved.\n")
	h, rest, err := cgihead.Read(output, 0)
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(io.MultiReader(strings.NewReader(string(rest)), output))
	fmt.Printf("%s, to %s\n%s%v\n", h.Status, h.Location(), body, err)

	_, _, err = cgihead.Read(strings.NewReader("Traceback (most recent call last)\n"), 0)
	var bad *cgihead.Error
	fmt.Println(errors.As(err, &bad), err)
	// Output:
	// 302 Found, to /elsewhere
	// It has moved.
	// <nil>
	// true bad head: line 1, "Traceback (most recent call last)": a line of a head is "Name: value": print "Content-Type: text/html" and an empty line first
}

// The same for output that arrives in pieces.
func ExampleParser() {
	p := cgihead.NewParser(1 << 10)
	for _, piece := range []string{"Status: 404 No Su", "ch Page\r\nX-A: b\r", "\n\r\nthe body"} {
		n, done, err := p.Feed([]byte(piece))
		if err != nil {
			log.Fatal(err)
		}
		if done {
			fmt.Printf("%s %v, then %q\n", p.Head().Status, p.Head().Fields, piece[n:])
		}
	}
	// Output: 404 No Such Page [{X-A b}], then "the body"
}
