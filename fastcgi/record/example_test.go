package record_test

import (
	"bytes"
	"fmt"
	"io"
	"log"

	"gatehouse/fastcgi/record"
)

// A request is written as a web server would, then read back.
func Example() {
	var pairs []byte
	pairs = record.AppendPair(pairs, "REQUEST_METHOD", "POST")
	pairs = record.AppendPair(pairs, "CONTENT_LENGTH", "5")

	var wire []byte
	wire = record.AppendBegin(wire, 1, record.Responder, record.KeepConn)
	wire = record.AppendStream(wire, record.Params, 1, pairs)
	wire = record.AppendRecord(wire, record.Params, 1, nil)
	wire = record.AppendStream(wire, record.Stdin, 1, []byte("hello"))
	wire = record.AppendRecord(wire, record.Stdin, 1, nil)

	var params []byte // a pair may straddle records: join first, then split
	r := record.NewReader(bytes.NewReader(wire))
	for {
		h, content, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v, id %d, %d bytes, padding %d\n", h.Type(), h.ID(), len(content), h.PaddingLength())
		if h.Type() == record.Params {
			params = append(params, content...)
		}
	}
	for len(params) > 0 {
		name, value, rest, err := record.NextPair(params)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s=%s\n", name, value)
		params = rest
	}
	// Output:
	// FCGI_BEGIN_REQUEST, id 1, 8 bytes, padding 0
	// FCGI_PARAMS, id 1, 37 bytes, padding 3
	// FCGI_PARAMS, id 1, 0 bytes, padding 0
	// FCGI_STDIN, id 1, 5 bytes, padding 3
	// FCGI_STDIN, id 1, 0 bytes, padding 0
	// REQUEST_METHOD=POST
	// CONTENT_LENGTH=5
}
