// Package natsconn connects to a NATS server the one way that is right for a
// logging pipeline, so that publisher, collector and consumer do not differ:
// it never gives up, notices a dead peer within seconds, buffers nothing behind
// our back (we have our own buffer, whose records are released by
// acknowledgements only), reads credentials and address afresh at each attempt,
// and never puts a credential into an error.
//
// The package does not import the NATS server; a worker must not link a broker.
package natsconn
