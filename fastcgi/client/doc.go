// Package client is a web server's side of FastCGI 1.0: one connection to an application,
// such as php-fpm or a [gatehouse/fastcgi.Server].
//
//	c, err := client.Dial(ctx, "unix", "/run/php/php-fpm.sock")
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	resp, err := c.Do(ctx, &client.Request{Params: env.All(), KeepConn: true})
//	if err != nil {
//		return err
//	}
//	defer resp.Close()
//	fmt.Println(resp.Head.Status)
//	_, err = io.Copy(os.Stdout, resp)
//
// [Conn.Do] plays all three roles, sends the streams of a request while it reads the
// response, and returns when the head has come. It needs no goroutine of its own but for
// a request with a stream that is longer than 8 KiB or of unknown length. Nothing is
// retried, pooled or translated to HTTP: this is what such packages stand on. For those that
// parse heads themselves there is [Conn.Begin], [Response.SetReadDeadline] where limits of
// time are held by the goroutine that reads, and [Response.ReadPipe] where a large body is passed
// on.
//
// # Ownership
//
// A Conn belongs to its caller, who closes it. It closes its socket earlier, by itself,
// when it can no longer be used. [Conn.Err] is nil as long as it takes another request:
// after a request with KeepConn whose response has been read to io.EOF, or closed after
// that. A response that is closed before its end costs the connection, unless other
// requests are in flight on it: then that request alone is aborted.
//
// A [Response] belongs to the caller of Do, who closes it. The streams of a request belong
// to Do from the call until Close of the response returns; those that are an io.Closer are
// closed, even when Do fails.
//
// # Requests at once
//
// Do may be called while other requests are in flight, if the application multiplexes:
// see [Conn.GetValues]. One that does not may refuse with CANT_MPX_CONN, which is an
// [EndError], or not answer at all. Whoever waits for a response reads for the others,
// too. Of a response that nobody reads up to 128 KiB are kept. Then it holds up all
// others, so each has to be read, or closed, by a goroutine of its own.
//
// # Ends
//
// The end of a response is io.EOF if END_REQUEST says REQUEST_COMPLETE, whatever the
// application's exit status is, which [Response.End] returns. A request that was refused,
// or ended without a head, is an [EndError]. A connection that ends first is a
// [TruncatedError]: what has come of the response is not all of it. The body is not
// compared with its Content-Length.
//
// # Limits and waits
//
// The context of Do bounds the whole request, its body included. Without a deadline in it
// a silent application is waited for without end. Heads are bounded by Conn.HeadBytes,
// variables by Conn.ParamsBytes, and what is kept of STDERR is 64 KiB, until the next call
// of Read or Close.
//
// # Records
//
// Tests of an application look closer, or send what no web server would: [Conn.Send] takes
// any bytes, and [Conn.ReadRecord] returns the next record as it came.
package client
