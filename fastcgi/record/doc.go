// Package record is the wire format of FastCGI 1.0: records, and the
// name-value pairs inside PARAMS and GET_VALUES. It keeps no state, starts no
// goroutine and decides nothing about a connection; package fastcgi does that.
//
// # Writing
//
// Each Append function adds whole records, or one pair, to a slice and returns
// the longer slice, as append does. With capacity enough none of them
// allocates. A request and the records that answer it are written like this:
//
//	var p []byte
//	p = record.AppendPair(p, "REQUEST_METHOD", "GET")
//	b = record.AppendBegin(b, 1, record.Responder, record.KeepConn)
//	b = record.AppendStream(b, record.Params, 1, p)
//	b = record.AppendRecord(b, record.Params, 1, nil) // end of PARAMS
//	b = record.AppendRecord(b, record.Stdin, 1, nil)  // end of STDIN
//
//	b = record.AppendStream(b, record.Stdout, 1, answer)
//	b = record.AppendRecord(b, record.Stdout, 1, nil) // end of STDOUT
//	b = record.AppendEndRequest(b, 1, 0, record.RequestComplete)
//
// [AppendHeader] and [PutHeader] are for content that does not pass through
// the slice, such as a file that is spliced behind its header.
//
// # Reading
//
// [Header] is a view over the eight bytes of a header where they lie.
// [NextPair] takes one pair off a stream, [ParseBegin] and [ParseEnd] read the
// two fixed bodies. Their results share the memory they were given. [Reader]
// reads whole records from an [io.Reader], for clients and tests.
//
// # Hostile bytes
//
// Every function that reads accepts any bytes: what they say can only lead to
// an error, never to a panic, to an index outside the slice, or to memory in
// proportion to a length that was merely announced. Functions that write panic
// when asked for what the format cannot express, such as content of more than
// [MaxContent] bytes in one record: that is a mistake in the calling program,
// not in its input.
//
// # What is left to the caller
//
// The format allows more than a server should. Whether an id is in use,
// whether a type may come with id 0, how many bytes of PARAMS are kept, and
// whether a pair with an empty name, a repeated name or a NUL byte is refused
// are all decided above this package.
package record
