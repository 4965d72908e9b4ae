#pragma once
// Half-close: ending one direction of a connection and keeping the other.
//
// A protocol that derives from HalfCloseableProtocol too hears of each direction's end; any other protocol
// finishes its answer when the peer ends its writing, and then loses the connection. Ask a transport with
// transport().as<HalfCloseableTransport>().

#include "bine/log/export.h"

namespace bine::inline v0 {

class BINE_EXPORT HalfCloseableProtocol {
public:
    virtual ~HalfCloseableProtocol();
    /// The peer will send no more. Writing still works; loseConnection() ends it.
    virtual void readConnectionLost() = 0;
    /// What loseWriteConnection() asked for is done. Reading still works.
    virtual void writeConnectionLost() = 0;
};

class BINE_EXPORT HalfCloseableTransport {
public:
    /// Sends what is pending, then ends the writing direction: the peer sees the end of file. Never calls
    /// back synchronously.
    virtual void loseWriteConnection() = 0;

protected:
    ~HalfCloseableTransport() = default;
};

} // namespace bine::inline v0
