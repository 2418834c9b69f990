import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;

/**
 * What applications do with JDBC, through a proxy in transaction mode.
 *
 * Arguments: URL, user, password. Prints the name of each part when it is done; any surprise is an exception.
 */
public class JdbcClient {
    private static String url;
    private static final Properties LOGIN = new Properties();

    interface Part {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        url = arguments[0];
        LOGIN.setProperty("user", arguments[1]);
        LOGIN.setProperty("password", arguments[2]);
        part("queries", JdbcClient::queries);
        part("preparedStatements", JdbcClient::preparedStatements);
        part("changingTables", JdbcClient::changingTables);
        part("transactions", JdbcClient::transactions);
        part("batches", JdbcClient::batches);
        part("fetchSize", JdbcClient::fetchSize);
        part("readOnly", JdbcClient::readOnly);
        part("cancels", JdbcClient::cancels);
        part("copies", JdbcClient::copies);
        part("metadata", JdbcClient::metadata);
        part("notifications", JdbcClient::notifications);
        part("simpleQueryMode", JdbcClient::simpleQueryMode);
    }

    private static void part(String name, Part part) throws Exception {
        part.run();
        System.out.println(name);
    }

    private static Connection connect() throws SQLException {
        return DriverManager.getConnection(url, LOGIN);
    }

    private static void queries() throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            equal(number(connection, "SELECT 42"), 42);
            equal(connection.getMetaData().getDatabaseProductName(), "PostgreSQL");
            int sum = 0;
            try (ResultSet rows = statement.executeQuery("SELECT n, 'é' || n FROM generate_series(1, 3000) n")) {
                while (rows.next()) {
                    sum += rows.getInt(1);
                    equal(rows.getString(2), "é" + rows.getInt(1));
                }
            }
            equal(sum, 3000 * 3001 / 2);
            // Several statements at once.
            if (!statement.execute("SELECT 1; SELECT 2")) throw new AssertionError("a result comes first");
            statement.getMoreResults();
            statement.getResultSet().next();
            equal(statement.getResultSet().getInt(1), 2);
            expect("42703", () -> statement.executeQuery("SELECT no_such_column"));
            equal(number(connection, "SELECT 1"), 1);
        }
    }

    /** From its fifth use on, the driver prepares a statement on the server. */
    private static void preparedStatements() throws Exception {
        try (Connection connection = connect();
                PreparedStatement statement = connection.prepareStatement("SELECT ?::int * 2, ?::text, ?::bytea")) {
            byte[] bytes = new byte[256];
            for (int n = 0; n < bytes.length; n++) bytes[n] = (byte) n;
            for (int n = 0; n < 100; n++) {
                statement.setInt(1, n);
                statement.setString(2, n % 3 == 0 ? null : "text " + n);
                statement.setBytes(3, bytes);
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    equal(row.getInt(1), 2 * n);
                    equal(row.getString(2), n % 3 == 0 ? null : "text " + n);
                    if (!Arrays.equals(row.getBytes(3), bytes)) throw new AssertionError("bytes differ");
                }
            }
            for (int text = 0; text < 300; text++) {
                // More texts than the driver keeps, so that it closes the oldest.
                try (PreparedStatement other = connection.prepareStatement("SELECT ?::int + " + text)) {
                    for (int turn = 0; turn < 6; turn++) {
                        other.setInt(1, turn);
                        try (ResultSet row = other.executeQuery()) {
                            row.next();
                            equal(row.getInt(1), text + turn);
                        }
                    }
                }
            }
            // Another type for the same parameter makes the driver prepare it again.
            try (PreparedStatement typed = connection.prepareStatement("SELECT ?::text")) {
                for (int n = 0; n < 12; n++) {
                    if (n % 2 == 0) typed.setInt(1, n); else typed.setString(1, "" + n);
                    try (ResultSet row = typed.executeQuery()) {
                        row.next();
                        equal(row.getString(1), "" + n);
                    }
                }
            }
        }
    }

    /** With autosave the driver recovers by itself when a table changes under a prepared statement. */
    private static void changingTables() throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS jdbc_shape; CREATE TABLE jdbc_shape (a int)");
            statement.execute("INSERT INTO jdbc_shape VALUES (1)");
            try (PreparedStatement star = connection.prepareStatement("SELECT * FROM jdbc_shape FOR UPDATE")) {
                for (int n = 0; n < 10; n++) star.executeQuery().close();
                statement.execute("ALTER TABLE jdbc_shape ADD b int DEFAULT 2");
                try (ResultSet row = star.executeQuery()) {
                    row.next();
                    equal(row.getInt(2), 2);
                }
            }
        }
    }

    private static void transactions() throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS jdbc_items; CREATE TABLE jdbc_items (id int PRIMARY KEY)");
            connection.setAutoCommit(false);
            statement.executeUpdate("INSERT INTO jdbc_items VALUES (1)");
            connection.commit();
            statement.executeUpdate("INSERT INTO jdbc_items VALUES (2)");
            connection.rollback();
            equal(number(connection, "SELECT count(*) FROM jdbc_items"), 1);
            Savepoint savepoint = connection.setSavepoint();
            expect("23505", () -> statement.executeUpdate("INSERT INTO jdbc_items VALUES (1)"));
            expect("25P02", () -> statement.executeQuery("SELECT 1"));
            connection.rollback(savepoint);
            statement.executeUpdate("INSERT INTO jdbc_items VALUES (3)");
            connection.commit();
            equal(number(connection, "SELECT sum(id) FROM jdbc_items"), 4);
            connection.commit();
            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            try (ResultSet row = statement.executeQuery("SHOW transaction_isolation")) {
                row.next();
                equal(row.getString(1), "serializable");
            }
            connection.commit();
        }
    }

    private static void batches() throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS jdbc_batch; CREATE TABLE jdbc_batch (id int PRIMARY KEY, name text)");
            connection.setAutoCommit(false);
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO jdbc_batch VALUES (?, ?)")) {
                for (int n = 0; n < 2000; n++) {
                    insert.setInt(1, n);
                    insert.setString(2, "name " + n);
                    insert.addBatch();
                }
                for (int count : insert.executeBatch()) equal(count, 1);
                connection.commit();
                for (int n : new int[] {5000, 7, 5001}) {
                    insert.setInt(1, n);
                    insert.setString(2, "");
                    insert.addBatch();
                }
                try {
                    insert.executeBatch();
                    throw new AssertionError("the key is unique");
                } catch (BatchUpdateException error) {
                    equal(error.getSQLState(), "23505");
                    connection.rollback();
                }
            }
            try (PreparedStatement insert = connection.prepareStatement(
                    "INSERT INTO jdbc_batch VALUES (?, 'returned')", Statement.RETURN_GENERATED_KEYS)) {
                for (int n = 10000; n < 10050; n++) {
                    insert.setInt(1, n);
                    insert.addBatch();
                }
                insert.executeBatch();
                int keys = 0;
                try (ResultSet rows = insert.getGeneratedKeys()) {
                    while (rows.next()) keys++;
                }
                equal(keys, 50);
            }
            connection.commit();
            connection.setAutoCommit(true);
            equal(number(connection, "SELECT count(*) FROM jdbc_batch"), 2050);
        }
    }

    /** Rows come in pieces through a portal of the open transaction. */
    private static void fetchSize() throws Exception {
        try (Connection connection = connect()) {
            connection.setAutoCommit(false);
            try (PreparedStatement statement =
                    connection.prepareStatement("SELECT n FROM generate_series(1, 1050) n ORDER BY n")) {
                statement.setFetchSize(100);
                int expected = 1;
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) equal(rows.getInt(1), expected++);
                }
                equal(expected, 1051);
            }
            connection.commit();
        }
    }

    /** In a transaction by default; with readOnlyMode=always for every statement of the session. */
    private static void readOnly() throws Exception {
        String always = url + "?readOnlyMode=always";
        try (Connection inTransactions = connect(); Connection throughout = DriverManager.getConnection(always, LOGIN)) {
            for (Connection connection : new Connection[] {inTransactions, throughout}) {
                Statement statement = connection.createStatement();
                // Its own table: what another session wrote may be seen a moment later.
                statement.execute("DROP TABLE IF EXISTS jdbc_read; CREATE TABLE jdbc_read (id int)");
                connection.setAutoCommit(connection == throughout);
                connection.setReadOnly(true);
                for (int n = 0; n < 10; n++) equal(number(connection, "SELECT count(*) FROM jdbc_read"), 0);
                expect("25006", () -> statement.executeUpdate("INSERT INTO jdbc_read VALUES (1)"));
                if (!connection.getAutoCommit()) connection.rollback();
                connection.setReadOnly(false);
                statement.executeUpdate("INSERT INTO jdbc_read VALUES (1)");
                statement.executeUpdate("DELETE FROM jdbc_read");
                if (!connection.getAutoCommit()) connection.commit();
            }
        }
    }

    private static void cancels() throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            CountDownLatch over = new CountDownLatch(1);
            Thread canceller = new Thread(() -> cancelUntil(over, statement));
            canceller.start();
            expect("57014", () -> statement.executeQuery("SELECT pg_sleep(60)"));
            over.countDown();
            canceller.join();
            statement.setQueryTimeout(1);
            expect("57014", () -> statement.executeQuery("SELECT pg_sleep(60)"));
            statement.setQueryTimeout(0);
            equal(number(connection, "SELECT 1"), 1);
        }
    }

    /** Nobody tells when the statement begins to run, so the cancel is repeated. */
    private static void cancelUntil(CountDownLatch over, Statement statement) {
        try {
            while (!over.await(50, TimeUnit.MILLISECONDS)) statement.cancel();
        } catch (InterruptedException | SQLException error) {
            throw new IllegalStateException(error);
        }
    }

    private static void copies() throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS jdbc_copy; CREATE TABLE jdbc_copy (id int, name text)");
            CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder lines = new StringBuilder();
            for (int n = 0; n < 20000; n++) lines.append(n).append("\tname ").append(n).append('\n');
            equal(copy.copyIn("COPY jdbc_copy FROM STDIN", new StringReader(lines.toString())), 20000L);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            equal(copy.copyOut("COPY (SELECT * FROM jdbc_copy ORDER BY id) TO STDOUT", out), 20000L);
            equal(out.toString(StandardCharsets.UTF_8), lines.toString());
            byte[] wrong = "not a number\tx\n".getBytes(StandardCharsets.UTF_8);
            expect("22P02", () -> copy.copyIn("COPY jdbc_copy FROM STDIN", new ByteArrayInputStream(wrong)));
            equal(number(connection, "SELECT count(*) FROM jdbc_copy"), 20000);
        }
    }

    private static void metadata() throws Exception {
        try (Connection connection = connect()) {
            try (ResultSet tables = connection.getMetaData().getTables(null, "public", "jdbc_batch", null)) {
                if (!tables.next()) throw new AssertionError("the table is there");
            }
            try (ResultSet keys = connection.getMetaData().getPrimaryKeys(null, "public", "jdbc_batch")) {
                keys.next();
                equal(keys.getString("COLUMN_NAME"), "id");
            }
        }
    }

    private static void notifications() throws Exception {
        try (Connection listener = connect(); Connection notifier = connect()) {
            listener.createStatement().execute("LISTEN jdbc_channel");
            notifier.createStatement().execute("NOTIFY jdbc_channel, 'hello'");
            PGNotification[] heard = listener.unwrap(PGConnection.class).getNotifications(20000);
            equal(heard.length, 1);
            equal(heard[0].getParameter(), "hello");
        }
    }

    private static void simpleQueryMode() throws Exception {
        try (Connection connection = DriverManager.getConnection(url + "?preferQueryMode=simple", LOGIN);
                PreparedStatement statement = connection.prepareStatement("SELECT ? + 1")) {
            for (int n = 0; n < 20; n++) {
                statement.setInt(1, n);
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    equal(row.getInt(1), n + 1);
                }
            }
        }
    }

    private static int number(Connection connection, String query) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet row = statement.executeQuery(query)) {
            row.next();
            return row.getInt(1);
        }
    }

    private static void expect(String sqlState, Part part) throws Exception {
        try {
            part.run();
        } catch (SQLException error) {
            if (sqlState.equals(error.getSQLState())) return;
            throw error;
        }
        throw new AssertionError("SQLSTATE " + sqlState + " was expected");
    }

    private static void equal(Object found, Object expected) {
        boolean same = found == null ? expected == null : found.equals(expected);
        if (!same) throw new AssertionError("found " + found + ", expected " + expected);
    }
}
