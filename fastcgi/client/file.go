package client

import (
	"encoding/binary"
	"math"
	"os"

	"gatehouse/fastcgi/record"
)

// A File is a part of an open file.
type File struct {
	*os.File
	Offset, Length int64 // in bytes
}

// fileContent is the length of the content of a record that tells of a file: offset and length.
const fileContent = 16

// A fileTaker has what was sent along with what it has read, as nowait.Conn does.
type fileTaker interface {
	TakeFile() (*os.File, error)
}

// File returns the part of a file that is the rest of the body, now that Read has returned io.EOF,
// or nil if there is none. The caller closes it. Another call returns nil.
//
// It is no part of FastCGI. On a connection that receives descriptors (nowait.Conn.ReceiveFiles)
// an application may send one along (SCM_RIGHTS), and end the body with a DATA record: its
// content is the offset and the length of the part, 8 bytes each, in network byte order. Whoever writes the
// body cannot write such a record. Only an open file that is regular is of use, which the caller
// checks. Anything else that is sent along is closed, and breaks the connection.
func (r *Response) File() *File {
	r.x.conn.mu.Lock()
	defer r.x.conn.mu.Unlock()
	f := r.x.file
	r.x.file = nil
	return f
}

// takeFile takes the file that a DATA record is about. mu is held.
func (x *exchange) takeFile(content []byte) (wrong string) {
	f, err := x.conn.takeFile()
	switch {
	case err != nil:
		return err.Error()
	case f == nil:
		return "not a record of a response"
	}
	part := &File{File: f}
	if len(content) == fileContent {
		part.Offset, part.Length = int64(binary.BigEndian.Uint64(content)), int64(binary.BigEndian.Uint64(content[8:]))
	}
	switch {
	case len(content) != fileContent || part.Offset < 0 || part.Length < 0 || part.Length > math.MaxInt64-part.Offset:
		wrong = "it has no offset and length of a part of a file"
	case x.stdoutEnded:
		wrong = "the stream has ended"
	case !x.closed:
		x.stdoutEnded, x.file = true, part
		return ""
	}
	f.Close()
	x.stdoutEnded = true
	return wrong
}

// takeFile returns what was sent along with what has been read, or nil. mu is held.
func (c *Conn) takeFile() (*os.File, error) {
	if c.files == nil {
		return nil, nil
	}
	return c.files.TakeFile()
}

// refuseFile returns what is wrong if something was sent along that no record is about. mu is held.
func (c *Conn) refuseFile() (wrong string) {
	f, err := c.takeFile()
	switch {
	case err != nil:
		return err.Error()
	case f != nil:
		f.Close()
		return "a file was sent that no record is about"
	}
	return ""
}

// AppendFile appends a record about the part of a file that is sent along with it: see
// [Response.File].
func AppendFile(dst []byte, id uint16, offset, length int64) []byte {
	dst = record.AppendHeader(dst, record.Data, id, fileContent, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(offset))
	return binary.BigEndian.AppendUint64(dst, uint64(length))
}
