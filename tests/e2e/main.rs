//! pgweir in front of real PostgreSQL clusters, asked by the clients that applications use.
