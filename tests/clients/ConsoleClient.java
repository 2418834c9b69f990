import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** Looks at the console with JDBC. Arguments: URL, user, password. */
public class ConsoleClient {
    private static final String[] COMMANDS = {
        "CLIENTS", "CONFIG", "DATABASES", "LISTS", "NODES", "POOLS", "SERVERS", "STATE", "STATS", "STATS_TOTALS",
        "USERS", "VERSION"
    };

    public static void main(String[] arguments) throws Exception {
        for (String mode : new String[] {"extended", "simple"}) {
            String url = arguments[0] + "?preferQueryMode=" + mode;
            try (Connection connection = DriverManager.getConnection(url, arguments[1], arguments[2]);
                    Statement statement = connection.createStatement()) {
                for (String command : COMMANDS) {
                    try (ResultSet rows = statement.executeQuery("SHOW " + command)) {
                        while (rows.next()) rows.getString(1);
                    }
                }
                // From its fifth use on it is prepared.
                try (PreparedStatement nodes = connection.prepareStatement("SHOW NODES")) {
                    for (int n = 0; n < 10; n++) {
                        try (ResultSet rows = nodes.executeQuery()) {
                            rows.next();
                            if (!"primary".equals(rows.getString("role"))) throw new AssertionError("the first node");
                            rows.getLong("lag_bytes");
                        }
                    }
                }
                try {
                    statement.executeQuery("SHOW NONSENSE");
                    throw new AssertionError("there is no such command");
                } catch (SQLException error) {
                    if (!error.getMessage().contains("SHOW HELP")) throw error;
                }
                if (!connection.isValid(5)) throw new AssertionError("the connection is well");
            }
        }
    }
}
